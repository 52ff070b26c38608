// Resolving what is computed element by element, and what moves elements.
#include "plan.h"

int32_t axis_of(const Value *value, int32_t axis, int32_t *found) {
  NEED(axis >= -value->rank && axis < value->rank);
  *found = axis < 0 ? axis + value->rank : axis;
  return FINE;
}

void row_major(const Value *value, int32_t *step) {
  int32_t words = 1;
  for (int32_t axis = value->rank - 1; axis >= 0; axis--) {
    step[axis] = words;
    words *= value->size[axis];
  }
}

// The words between neighbours on each axis of `shape` for `value` broadcast to it.
static void spread(const Value *value, const Value *shape, int32_t *step) {
  int32_t own[RANK], ahead = shape->rank - value->rank;
  row_major(value, own);
  for (int32_t axis = 0; axis < shape->rank; axis++)
    step[axis] = axis < ahead || value->size[axis - ahead] == 1 ? 0 : own[axis - ahead];
}

static int32_t join(Value *shape, const Value *other) {
  Value joined = *shape;
  joined.rank = larger(shape->rank, other->rank);
  for (int32_t back = 1; back <= joined.rank; back++) {
    int32_t a = back <= shape->rank ? shape->size[shape->rank - back] : 1;
    int32_t b = back <= other->rank ? other->size[other->rank - back] : 1;
    NEED(a == b || a == 1 || b == 1);
    joined.size[joined.rank - back] = a == 1 ? b : a;
  }
  *shape = joined;
  return FINE;
}

// Axes of size 1 go, neighbours that all operands step through alike become one; at least one axis is left.
static void collapse(Call *call, const Value *shape, int32_t step[OPERANDS][RANK], int32_t operands) {
  int32_t rank = 0;
  for (int32_t axis = 0; axis < shape->rank; axis++) {
    if (shape->size[axis] == 1) continue;
    int mergeable = rank > 0;
    for (int32_t k = 0; k < operands && mergeable; k++)
      mergeable = call->step[k][rank - 1] == step[k][axis] * shape->size[axis];
    int32_t to = mergeable ? rank - 1 : rank++;
    call->size[to] = (mergeable ? call->size[to] : 1) * shape->size[axis];
    for (int32_t k = 0; k < operands; k++) call->step[k][to] = step[k][axis];
  }
  if (!rank) {
    call->size[rank++] = 1;
    for (int32_t k = 0; k < operands; k++) call->step[k][0] = 0;
  }
  call->rank = rank;
}

static int32_t result_dtype(const Step *step, int32_t *dtype) {
  const Op *op = step->op;
  int32_t first = operand(step, op->code == SELECT ? 1 : 0)->dtype, other;
  *dtype = op->code == COMPARE || op->code == LOGICAL ? BOOL : op->code == CAST ? op->sub : first;
  for (int32_t k = op->code == SELECT ? 2 : 1; k < op->operands; k++) {
    other = operand(step, k)->dtype;
    NEED(other == first);
  }
  switch (op->code) {
    case LOGICAL: NEED(first == BOOL); break;
    case SELECT: NEED(operand(step, 0)->dtype == BOOL); break;
    case CAST: NEED(op->sub <= BOOL); break;
    case AFFINE:
    case NORMALIZE: NEED(first == FLOAT32); break;
    case UNARY:
      NEED(first == FLOAT32 || (first == INT32 && (op->sub == ABS || op->sub == NEGATIVE || op->sub == RELU ||
                                                   op->sub == SIGN || op->sub == SQUARE)));
      break;
    case BINARY: NEED(first == FLOAT32 || (first == INT32 && op->sub != DIVIDE && op->sub != POWER)); break;
  }
  return FINE;
}

int32_t resolve_elements(const Step *step) {
  const Op *op = step->op;
  static const int32_t count[CODES] = {
      [UNARY] = 1, [BINARY] = 2, [COMPARE] = 2, [SELECT] = 3, [CAST] = 1, [AFFINE] = 3, [NORMALIZE] = 6};
  int32_t expected = op->code == LOGICAL ? (op->sub == NOT ? 1 : 2) : count[op->code];
  NEED(op->operands == expected && op->attributes == 0);
  int32_t dtype, steps[OPERANDS][RANK];
  TRY(result_dtype(step, &dtype));
  Value shape = *operand(step, 0);
  for (int32_t k = 1; k < op->operands; k++) TRY(join(&shape, operand(step, k)));
  TRY(set_shape(step->result, dtype, shape.rank, shape.size));
  for (int32_t k = 0; k < op->operands; k++) spread(operand(step, k), &shape, steps[k]);
  TRY(place(step, 0, op->operands));
  int64_t words = size_of(step->result);
  Call *call = emit(step, K_ELEMENTS, 0, (double)words);
  call->sub = op->sub;
  call->dtype = operand(step, op->code == SELECT ? 1 : 0)->dtype;
  for (int32_t k = 0; k < op->operands; k++) call->in[k] = address_of(operand(step, k));
  call->out = address_of(step->result);
  collapse(call, &shape, steps, op->operands);
  int32_t last = call->size[call->rank - 1];
  call->units = last ? (int32_t)(words / last) : 0;
  return FINE;
}

// Emits the copy of a view into a view; `made` receives the call.
int32_t copy_view(const Step *step, int32_t from, int32_t from_offset, const int32_t *from_step, int32_t to,
                  int32_t to_offset, const int32_t *to_step, int32_t rank, const int32_t *size, Call **made) {
  Value shape = {.rank = rank};
  int32_t steps[OPERANDS][RANK];
  int64_t words = 1;
  for (int32_t axis = 0; axis < rank; axis++) {
    shape.size[axis] = size[axis];
    steps[0][axis] = from_step[axis];
    steps[1][axis] = to_step[axis];
    words *= size[axis];
  }
  Call *call = emit(step, K_COPY, 0, (double)words);
  collapse(call, &shape, steps, 2);
  for (int32_t axis = 0; axis < call->rank; axis++) call->out_step[axis] = call->step[1][axis];
  int32_t last = call->size[call->rank - 1];
  call->units = last ? (int32_t)(words / last) : 0;
  call->in[0] = from;
  call->out = to;
  call->fact[0] = from_offset;
  call->fact[1] = to_offset;
  if (made) *made = call;
  return FINE;
}

// A view of the operand, of the result's shape, into the result.
static int32_t gathered(const Step *step, int32_t offset, const int32_t *from_step, int32_t rank, const int32_t *size) {
  int32_t to_step[RANK];
  Value shape = {.rank = rank};
  for (int32_t axis = 0; axis < rank; axis++) shape.size[axis] = size[axis];
  row_major(&shape, to_step);
  TRY(place(step, 0, 0));
  return copy_view(step, address_of(operand(step, 0)), offset, from_step, address_of(step->result), 0, to_step, rank,
                   size, 0);
}

// A size as it is written, or, written -2 - 8k - i, that of axis i of operand k.
static int32_t size_meant(const Step *step, int32_t *wanted) {
  if (*wanted > -2) return FINE;
  int64_t code = -2 - (int64_t)*wanted;
  NEED(code / RANK < step->op->operands);
  const Value *like = operand(step, (int32_t)(code / RANK));
  NEED(code % RANK < like->rank);
  *wanted = like->size[code % RANK];
  return FINE;
}

// 3.10: sizes, of which one may be -1: the rest
static int32_t resolve_reshape(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t rank = step->op->attributes, size[RANK], rest = -1;
  int64_t known = 1, words = size_of(x);
  NEED(rank <= RANK);
  for (int32_t axis = 0; axis < rank; axis++) {
    int32_t wanted = attribute(step, axis);
    TRY(size_meant(step, &wanted));
    if (wanted == -1) {
      NEED(rest < 0);
      rest = axis;
      continue;
    }
    size[axis] = wanted;
    known *= wanted;
    NEED(known <= LARGEST);
  }
  if (rest >= 0) {
    NEED(known ? words % known == 0 : words == 0);
    size[rest] = known ? (int32_t)(words / known) : 0;
    known *= size[rest];
  }
  NEED(known == words);
  TRY(set_shape(step->result, x->dtype, rank, size));
  return alias(step, x);
}

static int32_t resolve_transpose(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t own[RANK], from[RANK], size[RANK], seen = 0;
  NEED(step->op->operands == 1 && step->op->attributes == x->rank);
  row_major(x, own);
  for (int32_t axis = 0; axis < x->rank; axis++) {
    int32_t source = attribute(step, axis);
    NEED(source >= 0 && source < x->rank && !(seen >> source & 1));
    seen |= 1 << source;
    from[axis] = own[source];
    size[axis] = x->size[source];
  }
  TRY(set_shape(step->result, x->dtype, x->rank, size));
  return gathered(step, 0, from, x->rank, size);
}

// axis, whether there is a start, the start, whether there is a stop, the stop, the step: Python's slices
static int32_t resolve_slice(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t axis, own[RANK], size[RANK];
  NEED(step->op->operands == 1 && step->op->attributes == 6);
  TRY(axis_of(x, attribute(step, 0), &axis));
  int64_t n = x->size[axis], by = attribute(step, 5), start = attribute(step, 2), stop = attribute(step, 4);
  NEED(by != 0 && by > INT32_MIN);
  int64_t lowest = by > 0 ? 0 : -1, highest = by > 0 ? n : n - 1;
  if (!attribute(step, 1)) start = by > 0 ? lowest : highest;
  else start = start < 0 ? (start + n < lowest ? lowest : start + n) : start > highest ? highest : start;
  if (!attribute(step, 3)) stop = by > 0 ? highest : lowest;
  else stop = stop < 0 ? (stop + n < lowest ? lowest : stop + n) : stop > highest ? highest : stop;
  int64_t count = by > 0 ? (stop > start ? (stop - start + by - 1) / by : 0)
                         : (start > stop ? (start - stop - by - 1) / -by : 0);
  row_major(x, own);
  for (int32_t k = 0; k < x->rank; k++) size[k] = k == axis ? (int32_t)count : x->size[k];
  int32_t offset = count ? (int32_t)start * own[axis] : 0;
  own[axis] = count > 1 ? own[axis] * (int32_t)by : 0;
  TRY(set_shape(step->result, x->dtype, x->rank, size));
  return gathered(step, offset, own, x->rank, size);
}

static int32_t resolve_concat(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t axis, size[RANK], steps[RANK], own[RANK], offset = 0;
  int64_t total = 0;
  NEED(step->op->attributes == 1);
  TRY(axis_of(x, attribute(step, 0), &axis));
  for (int32_t k = 0; k < step->op->operands; k++) {
    const Value *part = operand(step, k);
    NEED(part->rank == x->rank && part->dtype == x->dtype);
    for (int32_t i = 0; i < x->rank; i++) NEED(i == axis || part->size[i] == x->size[i]);
    total += part->size[axis];
    NEED(total <= LARGEST);
  }
  for (int32_t i = 0; i < x->rank; i++) size[i] = i == axis ? (int32_t)total : x->size[i];
  TRY(set_shape(step->result, x->dtype, x->rank, size));
  TRY(place(step, 0, 0));
  row_major(step->result, steps);
  for (int32_t k = 0; k < step->op->operands; k++) {
    const Value *part = operand(step, k);
    row_major(part, own);
    TRY(copy_view(step, address_of(part), 0, own, address_of(step->result), offset, steps, x->rank, part->size, 0));
    offset += part->size[axis] * steps[axis];
  }
  return FINE;
}

static int32_t resolve_pad(const Step *step) {
  const Value *x = operand(step, 0), *value = operand(step, 1);
  int32_t size[RANK], steps[RANK], own[RANK], offset = 0;
  NEED(step->op->operands == 2 && step->op->attributes == 2 * x->rank);
  NEED(value->dtype == x->dtype && size_of(value) == 1);
  for (int32_t axis = 0; axis < x->rank; axis++) {
    int32_t low = attribute(step, 2 * axis), high = attribute(step, 2 * axis + 1);
    NEED(low >= 0 && high >= 0 && low <= LARGEST && high <= LARGEST && x->size[axis] + low + high <= LARGEST);
    size[axis] = x->size[axis] + low + high;
  }
  TRY(set_shape(step->result, x->dtype, x->rank, size));
  TRY(place(step, 0, 0));
  row_major(x, own);
  row_major(step->result, steps);
  for (int32_t axis = 0; axis < x->rank; axis++) offset += attribute(step, 2 * axis) * steps[axis];
  Call *call = emit(step, K_FILL, 1, (double)size_of(step->result));
  call->in[0] = address_of(value);
  call->out = address_of(step->result);
  call->fact[0] = (int32_t)size_of(step->result);
  return copy_view(step, address_of(x), 0, own, address_of(step->result), offset, steps, x->rank, x->size, 0);
}

static int32_t resolve_repeat(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t axis, times = attribute(step, 1), size[RANK];
  NEED(step->op->operands == 1 && step->op->attributes == 2 && times >= 1);
  TRY(axis_of(x, attribute(step, 0), &axis));
  for (int32_t k = 0; k < x->rank; k++) size[k] = x->size[k];
  NEED((int64_t)size[axis] * times <= LARGEST);
  size[axis] *= times;
  TRY(set_shape(step->result, x->dtype, x->rank, size));
  int32_t inner = (int32_t)size_between(x, axis + 1, x->rank), n = x->size[axis];
  int32_t view[4] = {(int32_t)size_between(x, 0, axis), n, times, inner};
  int32_t from[4] = {n * inner, inner, 0, 1};
  return gathered(step, 0, from, 4, view);
}

static int32_t resolve_broadcast(const Step *step) {
  const Value *x = operand(step, 0);
  Value shape = {.rank = step->op->attributes};
  int32_t steps[RANK];
  NEED(shape.rank <= RANK && shape.rank >= x->rank);
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    shape.size[axis] = attribute(step, axis);
    TRY(size_meant(step, &shape.size[axis]));
    int32_t own = axis + x->rank < shape.rank ? 1 : x->size[axis + x->rank - shape.rank];
    NEED(own == 1 || own == shape.size[axis]);
  }
  TRY(set_shape(step->result, x->dtype, shape.rank, shape.size));
  spread(x, &shape, steps);
  return gathered(step, 0, steps, shape.rank, shape.size);
}

static int32_t resolve_gather(const Step *step) {
  const Value *table = operand(step, 0), *index = operand(step, 1);
  int32_t size[RANK], rank = 0;
  NEED(step->op->operands == 2 && index->dtype == INT32 && table->rank >= 1 && index->rank + table->rank - 1 <= RANK);
  for (int32_t axis = 0; axis < index->rank; axis++) size[rank++] = index->size[axis];
  for (int32_t axis = 1; axis < table->rank; axis++) size[rank++] = table->size[axis];
  TRY(set_shape(step->result, table->dtype, rank, size));
  TRY(place(step, 0, 0));
  Call *call = emit(step, K_GATHER, size_of(index), (double)size_of(step->result));
  call->in[0] = address_of(table);
  call->in[1] = address_of(index);
  call->out = address_of(step->result);
  call->fact[0] = table->size[0];
  call->fact[1] = (int32_t)size_between(table, 1, table->rank);
  return FINE;
}

static int32_t resolve_position(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t axis, size[RANK];
  NEED(step->op->operands == 1 && step->op->attributes == 1);
  TRY(axis_of(x, attribute(step, 0), &axis));
  for (int32_t k = 0; k < x->rank; k++) size[k] = k == axis ? x->size[k] : 1;
  TRY(set_shape(step->result, INT32, x->rank, size));
  TRY(place(step, 0, 0));
  Call *call = emit(step, K_POSITION, x->size[axis], (double)x->size[axis]);
  call->out = address_of(step->result);
  return FINE;
}

int32_t resolve_moves(const Step *step) {
  NEED(step->op->operands >= 1);
  switch (step->op->code) {
    case RESHAPE: return resolve_reshape(step);
    case TRANSPOSE: return resolve_transpose(step);
    case SLICE: return resolve_slice(step);
    case CONCAT: return resolve_concat(step);
    case PAD: NEED(step->op->operands == 2); return resolve_pad(step);
    case REPEAT: NEED(step->op->attributes == 2); return resolve_repeat(step);
    case BROADCAST: return resolve_broadcast(step);
    case GATHER: NEED(step->op->operands == 2); return resolve_gather(step);
    default: return resolve_position(step);
  }
}
