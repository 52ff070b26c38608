// Rows by a matrix that is packed in panels. spec.md, 5.1.
//
// Every output has one accumulator, which starts at the bias and takes the products in ascending order, each rounded,
// each sum rounded. Only outputs are computed side by side; an accumulator that is put into the output and taken up
// again, when the products come by stretches that fit the cache, is the same float32.
#include "multiply.h"

// Products taken up at once; rows and panels of outputs that share them while they are in the cache.
enum { STRETCH = 256, ROWS = 4, PANELS = 32 };

// Accumulators are registers only where no loop over them is left.
#define UNROLLED _Pragma("clang loop unroll(full)")

int64_t spread_words(int64_t length) { return 4 * ROWS * (length < STRETCH ? length : STRETCH); }

// Products that are taken up at once: elements `from` to `to` of the taps `first` to `last`. The first ones begin
// at the bias.
typedef struct {
  int32_t first, last, from, to, begins;
} Stretch;

// As many of four as are there.
INLINE v128_t some(const float *p, int32_t count) {
  float four[4] = {0, 0, 0, 0};
  for (int32_t i = 0; i < smaller(count, 4); i++) four[i] = p[i];
  return wasm_v128_load(four);
}

INLINE void put(float *p, v128_t v, int32_t count) {
  float four[4];
  wasm_v128_store(four, v);
  for (int32_t i = 0; i < smaller(count, 4); i++) p[i] = four[i];
}

// One product of each accumulator; the numbers of the rows are in all four lanes already.
INLINE void step(const int R, const int P, const float *a, const float *const *b, uint32_t at, v128_t acc[ROWS][2]) {
  UNROLLED for (int p = 0; p < P; p++) {
    v128_t b0 = wasm_v128_load(b[p] + at * WIDTH), b1 = wasm_v128_load(b[p] + at * WIDTH + 4u);
    UNROLLED for (int q = 0; q < R; q++) {
      v128_t x = wasm_v128_load(a + (at * R + q) * 4u);
      acc[q * P + p][0] = wasm_f32x4_add(acc[q * P + p][0], wasm_f32x4_mul(x, b0));
      acc[q * P + p][1] = wasm_f32x4_add(acc[q * P + p][1], wasm_f32x4_mul(x, b1));
    }
  }
}

// `length` products. wasmtime loads all that a stretch of code without a branch needs before it computes: the ways out
// between the steps keep the accumulators in registers.
INLINE const float *steps(const int R, const int P, const float *a, const float **b, int32_t length,
                          v128_t acc[ROWS][2]) {
  if (length <= 0) return a;
  const float *end = a + (int64_t)length * R * 4;
  for (;; length -= 4) {
    step(R, P, a, b, 0, acc);
    if (length == 1) return end;
    step(R, P, a, b, 1, acc);
    if (length == 2) return end;
    step(R, P, a, b, 2, acc);
    if (length == 3) return end;
    step(R, P, a, b, 3, acc);
    if (length == 4) return end;
    a += 16 * R;
    UNROLLED for (int p = 0; p < P; p++) b[p] += 4 * WIDTH;
  }
}

// R rows by P panels of numbers from `from` on, `row` words apart, `left` of which are there.
INLINE void take(const int R, const int P, const float *from, int32_t row, int32_t left, v128_t acc[ROWS][2]) {
  UNROLLED for (int q = 0; q < R; q++)
    UNROLLED for (int p = 0; p < P; p++) {
      const float *at = from + (int64_t)q * row + p * WIDTH;
      int whole = left >= P * WIDTH;
      acc[q * P + p][0] = whole ? wasm_v128_load(at) : some(at, left - p * WIDTH);
      acc[q * P + p][1] = whole ? wasm_v128_load(at + 4) : some(at + 4, left - p * WIDTH - 4);
    }
}

INLINE void give(const int R, const int P, float *to, int32_t row, int32_t left, const v128_t acc[ROWS][2]) {
  UNROLLED for (int q = 0; q < R; q++)
    UNROLLED for (int p = 0; p < P; p++) {
      float *at = to + (int64_t)q * row + p * WIDTH;
      if (left >= P * WIDTH) {
        wasm_v128_store(at, acc[q * P + p][0]);
        wasm_v128_store(at + 4, acc[q * P + p][1]);
      } else {
        put(at, acc[q * P + p][0], left - p * WIDTH);
        put(at + 4, acc[q * P + p][1], left - p * WIDTH - 4);
      }
    }
}

// R rows by P panels of outputs.
INLINE void tile(const int R, const int P, const Rows *rows, const Target *target, int32_t r, int32_t panel,
                 const Stretch *stretch) {
  v128_t acc[ROWS][2];
  const float *a = rows->spread;
  int32_t length = rows->all_taps * rows->depth, column = panel * WIDTH, left = target->columns - column;
  float *out = target->out + (int64_t)r * target->row + column;
  UNROLLED for (int i = 0; i < R * P; i++) acc[i][0] = acc[i][1] = wasm_f32x4_splat(0);
  if (!stretch->begins) take(R, P, out, target->row, left, acc);
  else if (target->bias) take(R, P, target->bias + column, 0, left, acc);
  int32_t each = stretch->to - stretch->from, last = rows->order ? stretch->last : stretch->first + 1;
  if (!rows->order) each *= stretch->last - stretch->first;
  for (int32_t t = stretch->first; t < last; t++) {
    const float *b[P];
    int32_t place = (rows->order ? rows->order[t] : t) * rows->depth + stretch->from;
    UNROLLED for (int p = 0; p < P; p++) b[p] = target->packed + ((int64_t)(panel + p) * length + place) * WIDTH;
    a = steps(R, P, a, b, each, acc);
  }
  give(R, P, out, target->row, left, acc);
}

#define TILE_OF(R, P)                                                                                     \
  static __attribute__((noinline)) void tile_##R##x##P(const Rows *rows, const Target *target, int32_t r, \
                                                       int32_t panel, const Stretch *stretch) {           \
    tile(R, P, rows, target, r, panel, stretch);                                                          \
  }
TILE_OF(4, 1)
TILE_OF(3, 1)
TILE_OF(2, 1)
TILE_OF(1, 3)
TILE_OF(1, 1)

// The elements of a stretch of `count` rows, side by side, each in four lanes. Taps that lie one after the other are
// one.
static void spread(const Rows *rows, int32_t r, int32_t count, const Stretch *stretch) {
  const int32_t each = stretch->to - stretch->from;
  for (int32_t q = 0; q < count; q++) {
    float *to = rows->spread + 4 * q;
    for (int32_t t = stretch->first, next; t < stretch->last; t = next) {
      const float *row = rows->at[t * TILE + r + q] + stretch->from;
      int32_t length = each, k = 0;
      for (next = t + 1; next < stretch->last && rows->at[next * TILE + r + q] + stretch->from == row + length; next++)
        length += each;
      for (; k + 4 <= length; k += 4, to += 16 * count) {
        v128_t four = wasm_v128_load(row + k);
        wasm_v128_store(to, wasm_i32x4_shuffle(four, four, 0, 0, 0, 0));
        wasm_v128_store(to + 4 * count, wasm_i32x4_shuffle(four, four, 1, 1, 1, 1));
        wasm_v128_store(to + 8 * count, wasm_i32x4_shuffle(four, four, 2, 2, 2, 2));
        wasm_v128_store(to + 12 * count, wasm_i32x4_shuffle(four, four, 3, 3, 3, 3));
      }
      for (; k < length; k++, to += 4 * count) wasm_v128_store(to, wasm_v128_load32_splat(row + k));
    }
  }
}

// `count` rows, at most ROWS, by the panels from `panel` to `end`.
static void group(const Rows *rows, const Target *target, int32_t r, int32_t count, int32_t panel, int32_t end,
                  const Stretch *stretch) {
  spread(rows, r, count, stretch);
  switch (count) {
    case 1:
      for (; panel + 3 <= end; panel += 3) tile_1x3(rows, target, r, panel, stretch);
      for (; panel < end; panel++) tile_1x1(rows, target, r, panel, stretch);
      break;
    case 2:
      for (; panel < end; panel++) tile_2x1(rows, target, r, panel, stretch);
      break;
    case 3:
      for (; panel < end; panel++) tile_3x1(rows, target, r, panel, stretch);
      break;
    default:
      for (; panel < end; panel++) tile_4x1(rows, target, r, panel, stretch);
  }
}

// A stretch of all rows: by as many panels as stay in the cache meanwhile.
static void multiply_stretch(const Rows *rows, const Target *target, int32_t count, const Stretch *stretch) {
  int32_t panels = (target->columns + WIDTH - 1) / WIDTH;
  for (int32_t panel = 0; panel < panels; panel += PANELS)
    for (int32_t r = 0; r < count; r += ROWS)
      group(rows, target, r, smaller(ROWS, count - r), panel, smaller(panel + PANELS, panels), stretch);
}

void multiply(const Rows *rows, const Target *target, int32_t count) {
  int32_t most = STRETCH * ROWS / smaller(larger(count, 1), ROWS), parts = (rows->depth + most - 1) / most;
  int32_t at_once = larger(most / larger(rows->depth, 1), 1), part = (rows->depth + parts - 1) / larger(parts, 1);
  Stretch stretch = {.begins = 1};
  for (int32_t t = 0; t < rows->taps; t += at_once)
    for (int32_t from = 0; from < rows->depth; from += part, stretch.begins = 0) {
      stretch = (Stretch){t, smaller(t + at_once, rows->taps), from, smaller(from + part, rows->depth), stretch.begins};
      multiply_stretch(rows, target, count, &stretch);
    }
  if (stretch.begins) multiply_stretch(rows, target, count, &stretch);
}
