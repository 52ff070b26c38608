// The module's memory: what is loaded lies at the bottom, then what one prepared shape needs, then the arena.
#include "exact.h"

enum { PAGE = 65536, ALIGNMENT = 16, BLOCKS = 65536 };

extern unsigned char __heap_base;
static uint32_t used;

typedef struct {
  int32_t address, bytes;
} Block;

static Block blocks[BLOCKS];  // free ones, by address
static int32_t block_count;
static int64_t arena_end;

int32_t mark(void) {
  if (!used) used = ((uint32_t)(uintptr_t)&__heap_base + ALIGNMENT - 1) & ~(uint32_t)(ALIGNMENT - 1);
  return (int32_t)used;
}

int32_t bottom(void) { return (int32_t)(uintptr_t)&__heap_base; }

void release(int32_t to) { used = (uint32_t)to; }

// The address of `bytes` more, 0 where memory cannot grow.
int32_t room(int64_t bytes) {
  int64_t start = (uint32_t)mark(), end = (start + bytes + ALIGNMENT - 1) & ~(int64_t)(ALIGNMENT - 1);
  int64_t pages = (end + PAGE - 1) / PAGE, have = (int64_t)__builtin_wasm_memory_size(0);
  if (bytes < 0 || end > INT32_MAX) return 0;
  if (pages > have && __builtin_wasm_memory_grow(0, (uint32_t)(pages - have)) == (__SIZE_TYPE__)-1) return 0;
  used = (uint32_t)end;
  return (int32_t)start;
}

void blocks_reset(int32_t base) {
  block_count = 0;
  arena_end = base;
}

int64_t blocks_end(void) { return arena_end; }

static int32_t bytes_of(int32_t words) {
  return (larger(words, 1) * 4 + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static void remove_block(int32_t at) {
  for (block_count--; at < block_count; at++) blocks[at] = blocks[at + 1];
}

// The smallest free block that holds `words`, else the end of the arena. 0 where addresses run out.
int32_t block_take(int32_t words) {
  int32_t bytes = bytes_of(words), best = -1;
  for (int32_t i = 0; i < block_count; i++)
    if (blocks[i].bytes >= bytes && (best < 0 || blocks[i].bytes < blocks[best].bytes)) best = i;
  if (best >= 0) {
    int32_t address = blocks[best].address;
    blocks[best].address += bytes;
    blocks[best].bytes -= bytes;
    if (!blocks[best].bytes) remove_block(best);
    return address;
  }
  int64_t address = arena_end;
  if (block_count) {
    Block last = blocks[block_count - 1];
    if ((int64_t)last.address + last.bytes == arena_end) {
      address = last.address;
      block_count--;
    }
  }
  if (address + bytes > INT32_MAX) return 0;
  arena_end = address + bytes;
  return (int32_t)address;
}

void block_give(int32_t address, int32_t words) {
  int32_t bytes = bytes_of(words), at = 0;
  while (at < block_count && blocks[at].address < address) at++;
  if (at > 0 && blocks[at - 1].address + blocks[at - 1].bytes == address) {
    blocks[--at].bytes += bytes;
  } else {
    if (block_count == BLOCKS) return;  // never used again, which is only a loss
    for (int32_t i = block_count++; i > at; i--) blocks[i] = blocks[i - 1];
    blocks[at] = (Block){address, bytes};
  }
  if (at + 1 < block_count && blocks[at].address + blocks[at].bytes == blocks[at + 1].address) {
    blocks[at].bytes += blocks[at + 1].bytes;
    remove_block(at + 1);
  }
}
