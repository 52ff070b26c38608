// A plan in memory: read with every number checked, and resolved to calls for one set of input shapes.
//
// The program is words: its version; how many inputs, constants, ops and outputs; for each input its dtype and rank;
// for each constant its dtype, rank, sizes and address; for each op its code, its function, how many operands and
// attributes, and those; the numbers of the outputs. Values are numbered: inputs, constants, results of the ops.
#include "plan.h"

enum { VERSION = 1, HEADER = 5 };

static const int32_t *program, *program_end, *ops_start, *output_ids;
static int32_t inputs, constants, op_count, outputs, loaded_to, prepared;
static Packed *packed;

static Value *values;
static int32_t *uses, value_count, value_room, buffer_count;
static Buffer *buffers;
static Call *calls;
static int32_t call_count, this_op, failed;
static double total_cost;

typedef struct {
  int32_t address, words;
} Lent;
static Lent lent[RANK];
static int32_t lent_count;

int64_t size_between(const Value *value, int32_t from, int32_t to) {
  int64_t words = 1;
  for (int32_t axis = from; axis < to; axis++) words *= value->size[axis];
  return words;
}

int64_t size_of(const Value *value) { return size_between(value, 0, value->rank); }
Buffer *buffer_of(const Value *value) { return buffers + value->buffer; }
int32_t address_of(const Value *value) { return buffer_of(value)->address; }
int32_t *uses_of(const Value *of) { return uses + (of - values); }
int32_t calls_made(void) { return call_count; }
double cost_so_far(void) { return total_cost; }
void add_cost(double more) { total_cost += more; }

const Packed *packed_of(const Value *value) { return value->buffer < constants ? packed + value->buffer : 0; }

Value *more_values(int32_t count) {
  if (count > value_room - value_count) return 0;
  value_count += count;
  return values + value_count - count;
}

static Call unused;  // filled in while calls are only counted

Call *call_at(int32_t at) { return calls ? calls + at : &unused; }

Call *emit(const Step *step, int32_t kernel, int64_t units, double cost) {
  Call *call = call_at(call_count++);
  *call = (Call){.kernel = kernel, .code = step->op->code, .op = this_op, .units = (int32_t)units};
  total_cost += cost;
  return call;
}

int32_t set_shape(Value *result, int32_t dtype, int32_t rank, const int32_t *size) {
  int64_t words = 1;
  NEED(rank <= RANK);
  result->dtype = dtype;
  result->rank = rank;
  for (int32_t axis = 0; axis < rank; axis++) {
    NEED(size[axis] >= 0);
    result->size[axis] = size[axis];
    words *= larger(size[axis], 1);
    if (words > LARGEST) return NO_MEMORY;
  }
  return FINE;
}

int32_t new_buffer(Value *value, int32_t pending) {
  int32_t need = (int32_t)size_of(value), address = block_take(need);
  if (!address) return NO_MEMORY;
  value->buffer = buffer_count++;
  buffers[value->buffer] = (Buffer){address, need, pending, 0};
  return FINE;
}

// The result's elements are those of a value.
int32_t alias(const Step *step, const Value *of) {
  step->result->buffer = of->buffer;
  buffer_of(of)->pending += step->uses;
  return FINE;
}

// A buffer for the result: that of one of the operands from `first` to `last` which nobody reads any more, if it has
// the same shape, else a new one.
int32_t place(const Step *step, int32_t first, int32_t last) {
  int32_t need = (int32_t)size_of(step->result);
  for (int32_t k = first; k < last; k++) {
    const Value *x = operand(step, k);
    Buffer *buffer = buffer_of(x);
    if (!buffer->fixed && buffer->pending == 1 && buffer->words == need && size_of(x) == need) return alias(step, x);
  }
  return new_buffer(step->result, step->uses);
}

int32_t scratch(int64_t need, int32_t *address) {
  if (need > LARGEST || lent_count == RANK) return NO_MEMORY;
  *address = block_take((int32_t)need);
  if (!*address) return NO_MEMORY;
  lent[lent_count++] = (Lent){*address, (int32_t)need};
  return FINE;
}

// Scratch for every thread, each of its own.
int32_t scratch_each(int64_t need, int32_t *address, int32_t *each) {
  if (need > LARGEST) return NO_MEMORY;
  need = (need + 3) & ~(int64_t)3;
  *each = (int32_t)need * 4;
  return scratch(need * thread_count, address);
}

void used_up(Buffer *buffer, int32_t times) {
  buffer->pending -= times;
  if (!buffer->pending && !buffer->fixed) block_give(buffer->address, buffer->words);
}

int32_t read_op(const int32_t **at, const int32_t *end, Op *op) {
  if (end - *at < 4) return MALFORMED;
  const int32_t *word = *at;
  *op = (Op){word[0], word[1], word[2], word[3], word + 4, word + 4 + word[2]};
  static const int32_t most[CODES] = {
      [UNARY] = FUNCTIONS, [BINARY] = OPERATIONS, [COMPARE] = RELATIONS, [LOGICAL] = CONNECTIVES, [CAST] = 3,
      [POOL] = 2,          [REDUCE] = REDUCTIONS, [RESIZE] = 2};
  if (op->code < 0 || op->code >= CODES || op->operands < 1 || op->operands > MOST || op->attributes < 0 ||
      op->attributes > MOST || end - *at - 4 < (int64_t)op->operands + op->attributes)
    return MALFORMED;
  if (op->sub < 0 || op->sub >= larger(most[op->code], 1)) return MALFORMED;
  *at = op->attribute + op->attributes;
  return FINE;
}

static int32_t resolve_op(const Step *step) {
  switch (step->op->code) {
    case MATMUL:
    case CONV:
    case CONV_TRANSPOSE: return resolve_products(step);
    case POOL:
    case REDUCE:
    case ARGMAX:
    case SOFTMAX:
    case RESIZE: return resolve_reductions(step);
    case SCAN: return resolve_scan(step);
    case RESHAPE:
    case TRANSPOSE:
    case SLICE:
    case CONCAT:
    case PAD:
    case GATHER:
    case REPEAT:
    case BROADCAST:
    case POSITION: return resolve_moves(step);
    default: return resolve_elements(step);
  }
}

// Resolve `count` ops whose values begin at `base`, `known` of which are there; `results` are read at the end.
int32_t resolve_ops(const int32_t **at, const int32_t *end, int32_t count, Value *base, int32_t known,
                    const int32_t *results, int32_t result_count, int32_t inside) {
  const int32_t *start = *at;
  int32_t *reads = uses_of(base);
  Op op;
  for (int32_t i = 0; i < known + count; i++) reads[i] = 0;
  for (int32_t i = 0; i < count; i++) {
    TRY(read_op(at, end, &op));
    if (inside && op.code == SCAN) return MALFORMED;
    for (int32_t k = 0; k < op.operands; k++) {
      if (op.operand[k] < 0 || op.operand[k] >= known + i) return MALFORMED;
      reads[op.operand[k]]++;
    }
  }
  for (int32_t i = 0; i < result_count; i++) {
    if (results[i] < 0 || results[i] >= known + count) return MALFORMED;
    reads[results[i]]++;
  }
  for (int32_t i = 0; i < known; i++) buffer_of(base + i)->pending += reads[i];
  const int32_t *next = start;
  for (int32_t i = 0; i < count; i++) {
    if (!inside) this_op = i;
    TRY(read_op(&next, end, &op));
    Value *result = base + known + i;
    Step step = {&op, base, result, reads[known + i] + 1};
    lent_count = 0;
    TRY(resolve_op(&step));
    while (lent_count > 0) {
      Lent last = lent[--lent_count];
      block_give(last.address, last.words);
    }
    for (int32_t k = 0; k < op.operands; k++) used_up(buffer_of(base + op.operand[k]), 1);
    used_up(buffer_of(result), 1);
  }
  return FINE;
}

static int32_t resolve(const int32_t *shapes) {
  const int32_t *word = program + HEADER, *at = ops_start;
  value_count = buffer_count = call_count = this_op = 0;
  total_cost = 0;
  Value *base = more_values(inputs + constants + op_count);
  for (int32_t i = 0; i < constants; i++) buffers[buffer_count++] = (Buffer){.fixed = 1};
  for (int32_t i = 0; i < inputs; i++, word += 2) {
    TRY(set_shape(base + i, word[0], word[1], shapes));
    shapes += word[1];
    TRY(new_buffer(base + i, 0));
  }
  for (int32_t i = 0; i < constants; i++) {
    int32_t rank = word[1];
    TRY(set_shape(base + inputs + i, word[0], rank, word + 2));
    base[inputs + i].buffer = i;
    buffers[i].address = word[2 + rank];
    word += 3 + rank;
  }
  TRY(resolve_ops(&at, program_end, op_count, base, inputs + constants, output_ids, outputs, 0));
  return blocks_end() <= INT32_MAX ? FINE : NO_MEMORY;
}

EXPORT(version) int32_t version(void) { return VERSION; }
EXPORT(failed_op) int32_t failed_op(void) { return failed; }
EXPORT(cost) double cost(void) { return total_cost; }
EXPORT(reserve) int32_t reserve(int32_t bytes) { return prepared ? 0 : room((uint32_t)bytes); }

// Whether a constant lies where something was reserved.
static int placed(int32_t address, int64_t words) {
  return address >= bottom() && address % 4 == 0 && (int64_t)address + 4 * words <= mark();
}

static int32_t read_values(const int32_t **at) {
  for (int32_t i = 0; i < inputs; i++, *at += 2) {
    if (program_end - *at < 2) return MALFORMED;
    if ((*at)[0] < FLOAT32 || (*at)[0] > BOOL || (*at)[1] < 0 || (*at)[1] > RANK) return MALFORMED;
  }
  for (int32_t i = 0; i < constants; i++) {
    Value value;
    if (program_end - *at < 3) return MALFORMED;
    int32_t dtype = (*at)[0], rank = (*at)[1];
    if (dtype < FLOAT32 || dtype > BOOL || rank < 0 || rank > RANK || program_end - *at < 3 + rank) return MALFORMED;
    if (set_shape(&value, dtype, rank, *at + 2) != FINE) return MALFORMED;
    if (!placed((*at)[2 + rank], size_of(&value))) return MALFORMED;
    *at += 3 + rank;
  }
  return FINE;
}

// How often each constant is read, by operations and as an output.
static int32_t count_reads(const int32_t *at, int32_t *reads) {
  Op op;
  for (int32_t i = 0; i < op_count; i++) {
    TRY(read_op(&at, program_end, &op));
    for (int32_t k = 0; k < op.operands; k++)
      if (op.operand[k] >= inputs && op.operand[k] < inputs + constants) reads[op.operand[k] - inputs]++;
  }
  for (; at < program_end; at++)
    if (*at >= inputs && *at < inputs + constants) reads[*at - inputs]++;
  return FINE;
}

// Packs operand 1 of a product if it is a constant that no other product has packed.
static int32_t pack_constant(const Op *op, int32_t at, const int32_t *reads) {
  if (at < inputs || at >= inputs + constants) return FINE;
  const int32_t *word = program + HEADER + 2 * inputs;
  for (int32_t i = inputs; i < at; i++) word += 3 + word[1];
  int32_t rank = word[1], groups = op->code == CONV && op->attributes > 1 ? op->attribute[1] : 1;
  Packed *to = packed + at - inputs;
  if (word[0] != FLOAT32 || rank < 2 || (op->code == MATMUL && rank != 2) || to->address) return FINE;
  int32_t columns = word[1 + rank];
  int64_t depth = 1;
  for (int32_t axis = 0; axis < rank - 1; axis++) depth *= word[2 + axis];
  if (!depth || !columns || groups < 1 || columns % groups || (op->code == CONV && word[rank] == 1 && groups == columns))
    return FINE;
  columns /= groups;
  int32_t address = packed_address(word[2 + rank], (int32_t)depth, columns, groups, reads && reads[at - inputs] == 1);
  if (!address) return NO_MEMORY;
  *to = (Packed){address, (int32_t)depth, columns, groups};
  return FINE;
}

// Walks the ops: they must be well-formed, and constants that products read are packed. In a body, operand `k` is
// the op's own operand `k`.
static int32_t walk(const int32_t **at, const int32_t *end, int32_t count, const Op *around, const int32_t *reads) {
  Op op;
  for (int32_t i = 0; i < count; i++) {
    if (!around) this_op = i;
    TRY(read_op(at, end, &op));
    if ((op.code == MATMUL || op.code == CONV || op.code == CONV_TRANSPOSE) && op.operands > 1) {
      int32_t b = op.operand[1];
      if (around) b = b >= 0 && b < around->operands ? around->operand[b] : -1;
      TRY(pack_constant(&op, b, reads));
    }
    if (op.code == SCAN) {
      if (around || op.attributes < 4 || op.attribute[1] < 1 || op.attribute[1] > op.attributes - 3) return MALFORMED;
      const int32_t *inner = op.attribute + 3, *inner_end = op.attribute + op.attributes - op.attribute[1];
      TRY(walk(&inner, inner_end, op.attribute[2], &op, 0));
      if (inner != inner_end) return MALFORMED;
    }
  }
  return FINE;
}

static int32_t load_program(int32_t address, int32_t length) {
  if (length < HEADER || !placed(address, length)) return MALFORMED;
  program = integers(address);
  program_end = program + length;
  if (program[0] != VERSION) return OTHER_VERSION;
  inputs = program[1], constants = program[2], op_count = program[3], outputs = program[4];
  for (int32_t i = 1; i < HEADER; i++)
    if (program[i] < 0 || program[i] > length) return MALFORMED;
  const int32_t *at = program + HEADER;
  TRY(read_values(&at));
  ops_start = at;
  int32_t table = room((int64_t)larger(constants, 1) * (int64_t)sizeof(Packed));
  if (!table) return NO_MEMORY;
  packed = (Packed *)words(table);
  for (int32_t i = 0; i < constants; i++) packed[i] = (Packed){0, 0, 0, 0};
  int32_t reads = room((int64_t)larger(constants, 1) * 4);
  if (!reads) return NO_MEMORY;
  for (int32_t i = 0; i < constants; i++) integers(reads)[i] = 0;
  TRY(count_reads(at, integers(reads)));
  TRY(walk(&at, program_end, op_count, 0, integers(reads)));
  output_ids = at;
  return program_end - at == outputs ? FINE : MALFORMED;
}

// Check a program and pack its constants. Once, after everything was reserved.
EXPORT(load) int32_t load(int32_t address, int32_t length) {
  if (prepared) return MALFORMED;
  int32_t status = load_program(address, length);
  failed = this_op;
  loaded_to = mark();
  prepared = status == FINE ? 1 : 0;
  return status;
}

static int32_t prepare_for(const int32_t *shapes) {
  int64_t length = program_end - program;
  value_room = (int32_t)length;
  release(loaded_to);
  int32_t at[3] = {room(length * (int64_t)sizeof(Value)), room(length * 4), room(2 * length * (int64_t)sizeof(Buffer))};
  for (int i = 0; i < 3; i++)
    if (!at[i]) return NO_MEMORY;
  values = (Value *)words(at[0]);
  uses = integers(at[1]);
  buffers = (Buffer *)words(at[2]);
  calls = 0;
  blocks_reset(mark());
  TRY(resolve(shapes));
  int64_t arena = blocks_end() - mark();
  int32_t table = room((int64_t)call_count * (int64_t)sizeof(Call));
  if (!table) return NO_MEMORY;
  int32_t start = mark();
  if (!room(arena)) return NO_MEMORY;
  calls = (Call *)words(table);
  blocks_reset(start);
  TRY(resolve(shapes));
  trail_calls(calls, call_count);
  return FINE;
}

// Resolve the program for inputs of `shapes`, their sizes one after the other. May be called again for others.
EXPORT(prepare) int32_t prepare(int32_t shapes) {
  if (!prepared) return MALFORMED;
  prepared = 1;
  int32_t status = prepare_for(integers(shapes));
  failed = this_op;
  if (status == FINE) prepared = 2;
  return status;
}

static const Value *output(int32_t at) { return values + output_ids[at]; }

EXPORT(input_address) int32_t input_address(int32_t at) { return address_of(values + at); }
EXPORT(output_address) int32_t output_address(int32_t at) { return address_of(output(at)); }
EXPORT(output_dtype) int32_t output_dtype(int32_t at) { return output(at)->dtype; }
EXPORT(output_rank) int32_t output_rank(int32_t at) { return output(at)->rank; }
EXPORT(output_size) int32_t output_size(int32_t at, int32_t axis) { return output(at)->size[axis]; }

// Every NaN of the outputs becomes the one with bits 7fc00000.
static void canonical(const Value *value) {
  float *x = words(address_of(value));
  int64_t n = size_of(value);
  for (int64_t i = 0; i < n; i++)
    if (x[i] != x[i]) ((int32_t *)x)[i] = 0x7fc00000;
}

// Run the network on what stands in the inputs, which it may overwrite.
EXPORT(run) int32_t run(void) {
  if (prepared != 2) return MALFORMED;
  int32_t at = run_all(calls, call_count);
  if (at >= 0) {
    failed = calls[at].op;
    return NO_ROW;
  }
  for (int32_t i = 0; i < outputs; i++)
    if (output(i)->dtype == FLOAT32) canonical(output(i));
  return FINE;
}
