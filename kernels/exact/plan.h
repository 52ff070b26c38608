// What the parts of the resolver share: it turns a plan and the shapes of its inputs into calls on addresses.
#pragma once
#include "exact.h"

enum { MOST = 1 << 24 };  // operands or attributes of one op

#define TRY(expression)                 \
  do {                                  \
    int32_t status_ = (expression);     \
    if (status_ != FINE) return status_; \
  } while (0)
#define NEED(condition) \
  do {                  \
    if (!(condition)) return MISFIT; \
  } while (0)

typedef struct {
  int32_t address, words, pending, fixed;  // pending: uses to come; fixed: not in the arena
} Buffer;

typedef struct {
  int32_t address, depth, columns, groups;  // where a constant lies packed; address 0: nowhere
} Packed;

typedef struct {
  const Op *op;
  Value *values, *result;  // what the operands' numbers count from
  int32_t uses;            // of the result
} Step;

INLINE const Value *operand(const Step *step, int32_t at) { return step->values + step->op->operand[at]; }
INLINE int32_t attribute(const Step *step, int32_t at) { return step->op->attribute[at]; }

int64_t size_of(const Value *value);
int64_t size_between(const Value *value, int32_t from, int32_t to);
int32_t address_of(const Value *value);
Buffer *buffer_of(const Value *value);
const Packed *packed_of(const Value *value);

Call *emit(const Step *step, int32_t kernel, int64_t units, double cost);
int32_t calls_made(void);
double cost_so_far(void);
void add_cost(double more);
void used_up(Buffer *buffer, int32_t times);
Call *call_at(int32_t at);
int32_t place(const Step *step, int32_t first, int32_t last);  // in a buffer of its own or of one of these operands
int32_t new_buffer(Value *value, int32_t uses);
int32_t alias(const Step *step, const Value *of);
int32_t scratch(int64_t words, int32_t *address);
int32_t scratch_each(int64_t words, int32_t *address, int32_t *each);
int32_t axis_of(const Value *value, int32_t axis, int32_t *found);
int32_t set_shape(Value *result, int32_t dtype, int32_t rank, const int32_t *size);
int32_t copy_view(const Step *step, int32_t from, int32_t from_offset, const int32_t *from_step, int32_t to,
                  int32_t to_offset, const int32_t *to_step, int32_t rank, const int32_t *size, Call **made);
void row_major(const Value *value, int32_t *step);

int32_t resolve_elements(const Step *step);
int32_t resolve_moves(const Step *step);
int32_t resolve_reductions(const Step *step);
int32_t resolve_products(const Step *step);
int32_t resolve_pool(const Step *step);
int32_t resolve_scan(const Step *step);
int32_t resolve_ops(const int32_t **at, const int32_t *end, int32_t count, Value *values, int32_t known,
                    const int32_t *results, int32_t result_count, int32_t inside);
int32_t read_op(const int32_t **at, const int32_t *end, Op *op);
int32_t *uses_of(const Value *values);
Value *more_values(int32_t count);

// Rows of a unit: fewer where there are threads to share them.
INLINE int32_t tile_of(int64_t rows) {
  int32_t tile = TILE;
  while (thread_count > 1 && tile > 12 && rows < (int64_t)tile * 2 * thread_count) tile /= 2;
  return tile;
}
