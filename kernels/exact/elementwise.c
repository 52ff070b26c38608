// Element by element, with broadcasting: spec.md, sections 3 and 4.
#include "exact.h"

enum { MOST_OPERANDS = 3 };  // of what is computed four by four

// A row of each operand. Those of which the elements lie side by side, or which are one number, are loaded four at once
// from `from`, at the element's place or, by a mask of 0, always at the same one.
typedef struct {
  const float *at[OPERANDS];
  int32_t step[OPERANDS];
  const float *from[MOST_OPERANDS];
  int32_t mask[MOST_OPERANDS], smooth;  // elements that can be computed so
  v128_t number[MOST_OPERANDS];
} Row;

static void make_smooth(Row *row, int32_t n) {
  row->smooth = n & ~3;
  for (int32_t k = 0; k < MOST_OPERANDS; k++) {
    if (row->step[k] != 0 && row->step[k] != 1) row->smooth = 0;
    row->mask[k] = -row->step[k];
    row->number[k] = wasm_v128_load32_splat(row->at[k]);
    row->from[k] = row->step[k] ? row->at[k] : (const float *)(row->number + k);
  }
}

// Up to four elements of a row from `i` on; lanes beyond are 0.
INLINE v128_t lanes(const float *p, int32_t step, int32_t i, int32_t count) {
  if (count == 4 && step == 1) return wasm_v128_load(p + i);
  if (step == 0) return wasm_v128_load32_splat(p);
  float four[4] = {0, 0, 0, 0};
  for (int32_t lane = 0; lane < count; lane++) four[lane] = p[(i + lane) * step];
  return wasm_v128_load(four);
}

INLINE void put(float *out, v128_t v, int32_t count) {
  if (count == 4) {
    wasm_v128_store(out, v);
    return;
  }
  float four[4];
  wasm_v128_store(four, v);
  for (int32_t lane = 0; lane < count; lane++) out[lane] = four[lane];
}

#define SMOOTHLY(which) wasm_v128_load(from[which] + (i & mask[which]))
#define OPERAND(which) (SMOOTH ? SMOOTHLY(which) : lanes(row->at[which], row->step[which], i, count))
#define EACH(expression)                                                                                  \
  {                                                                                                       \
    const float *const from[MOST_OPERANDS] = {row->from[0], row->from[1], row->from[2]};                  \
    const int32_t mask[MOST_OPERANDS] = {row->mask[0], row->mask[1], row->mask[2]}, smooth = row->smooth; \
    int32_t i = 0, count = 4;                                                                             \
    for (; i < smooth; i += 4) {                                                                          \
      enum { SMOOTH = 1 };                                                                                \
      wasm_v128_store(out + i, expression);                                                               \
    }                                                                                                     \
    for (; i < n; i += 4) {                                                                               \
      enum { SMOOTH = 0 };                                                                                \
      count = smaller(4, n - i);                                                                          \
      put(out + i, expression, count);                                                                    \
    }                                                                                                     \
    return;                                                                                               \
  }

#define A OPERAND(0)
#define B OPERAND(1)
#define C OPERAND(2)

// 3.2: the second where the first is smaller or the second is no number
INLINE v128_t maximum(v128_t a, v128_t b) {
  return wasm_v128_bitselect(b, wasm_f32x4_pmax(a, b), wasm_f32x4_ne(b, b));
}

INLINE v128_t minimum(v128_t a, v128_t b) {
  return wasm_v128_bitselect(b, wasm_f32x4_pmin(a, b), wasm_f32x4_ne(b, b));
}

INLINE v128_t truth(v128_t mask) { return wasm_v128_and(mask, wasm_i32x4_splat(1)); }

INLINE v128_t sign(v128_t x) {
  v128_t zero = wasm_f32x4_splat(0), one = wasm_f32x4_splat(1);
  v128_t up = wasm_v128_and(one, wasm_f32x4_gt(x, zero));
  v128_t down = wasm_v128_and(wasm_f32x4_neg(one), wasm_f32x4_lt(x, zero));
  v128_t plain = wasm_v128_or(wasm_f32x4_gt(x, zero), wasm_f32x4_lt(x, zero));
  return wasm_v128_bitselect(wasm_v128_or(up, down), x, plain);
}

static void unary(const Row *row, float *out, int32_t n, int32_t sub) {
  static v128_t (*const FUNCTION[FUNCTIONS])(v128_t) = {
      [COS] = cos_four,     [ERF] = erf_four,         [EXP] = exp_four, [EXPM1] = expm1_four,      [LOG] = log_four,
      [LOG1P] = log1p_four, [RSQRT] = rsqrt_four, [SIGMOID] = sigmoid_four, [SIN] = sin_four,
      [SOFTPLUS] = softplus_four, [TANH] = tanh_four};
  switch (sub) {
    case ABS: EACH(wasm_f32x4_abs(A));
    case CEIL: EACH(wasm_f32x4_ceil(A));
    case FLOOR: EACH(wasm_f32x4_floor(A));
    case NEGATIVE: EACH(wasm_f32x4_neg(A));
    case RELU: EACH(wasm_f32x4_pmax(A, wasm_f32x4_splat(0)));
    case ROUND: EACH(wasm_f32x4_nearest(A));
    case SIGN: EACH(sign(A));
    case SQRT: EACH(wasm_f32x4_sqrt(A));
    case SQUARE: EACH(wasm_f32x4_mul(A, A));
    default: EACH(FUNCTION[sub](A));
  }
}

static void unary_whole(const Row *row, float *out, int32_t n, int32_t sub) {
  v128_t zero = wasm_i32x4_splat(0), one = wasm_i32x4_splat(1);
  switch (sub) {
    case ABS: EACH(wasm_i32x4_abs(A));
    case NEGATIVE: EACH(wasm_i32x4_neg(A));
    case RELU: EACH(wasm_i32x4_max(A, zero));
    case SIGN: EACH(wasm_i32x4_max(wasm_i32x4_min(A, one), wasm_i32x4_neg(one)));
    case SQUARE: EACH(wasm_i32x4_mul(A, A));
  }
}

INLINE v128_t powers(v128_t x, v128_t y) {
  float a[4], b[4];
  wasm_v128_store(a, x);
  wasm_v128_store(b, y);
  for (int lane = 0; lane < 4; lane++) a[lane] = (float)pow64((double)a[lane], (double)b[lane]);
  return wasm_v128_load(a);
}

static void binary(const Row *row, float *out, int32_t n, int32_t sub) {
  switch (sub) {
    case ADD: EACH(wasm_f32x4_add(A, B));
    case DIVIDE: EACH(wasm_f32x4_div(A, B));
    case MAXIMUM: EACH(maximum(A, B));
    case MINIMUM: EACH(minimum(A, B));
    case MULTIPLY: EACH(wasm_f32x4_mul(A, B));
    case POWER: EACH(powers(A, B));
    case SUBTRACT: EACH(wasm_f32x4_sub(A, B));
  }
}

static void binary_whole(const Row *row, float *out, int32_t n, int32_t sub) {
  switch (sub) {
    case ADD: EACH(wasm_i32x4_add(A, B));
    case MAXIMUM: EACH(wasm_i32x4_max(A, B));
    case MINIMUM: EACH(wasm_i32x4_min(A, B));
    case MULTIPLY: EACH(wasm_i32x4_mul(A, B));
    case SUBTRACT: EACH(wasm_i32x4_sub(A, B));
  }
}

static void compare(const Row *row, float *out, int32_t n, int32_t sub) {
  switch (sub) {
    case EQUAL: EACH(truth(wasm_f32x4_eq(A, B)));
    case GREATER: EACH(truth(wasm_f32x4_gt(A, B)));
    case GREATER_EQUAL: EACH(truth(wasm_f32x4_ge(A, B)));
    case LESS: EACH(truth(wasm_f32x4_lt(A, B)));
    case LESS_EQUAL: EACH(truth(wasm_f32x4_le(A, B)));
    case NOT_EQUAL: EACH(truth(wasm_f32x4_ne(A, B)));
  }
}

static void compare_whole(const Row *row, float *out, int32_t n, int32_t sub) {
  switch (sub) {
    case EQUAL: EACH(truth(wasm_i32x4_eq(A, B)));
    case GREATER: EACH(truth(wasm_i32x4_gt(A, B)));
    case GREATER_EQUAL: EACH(truth(wasm_i32x4_ge(A, B)));
    case LESS: EACH(truth(wasm_i32x4_lt(A, B)));
    case LESS_EQUAL: EACH(truth(wasm_i32x4_le(A, B)));
    case NOT_EQUAL: EACH(truth(wasm_i32x4_ne(A, B)));
  }
}

static void logical(const Row *row, float *out, int32_t n, int32_t sub) {
  switch (sub) {
    case AND: EACH(wasm_v128_and(A, B));
    case NOT: EACH(wasm_v128_xor(A, wasm_i32x4_splat(1)));
    case OR: EACH(wasm_v128_or(A, B));
    case XOR: EACH(wasm_v128_xor(A, B));
  }
}

// 3.5: `from` and `to` as numbers of 2 bits
static void cast(const Row *row, float *out, int32_t n, int32_t from, int32_t to) {
  switch (from << 2 | to) {
    case FLOAT32 << 2 | INT32: EACH(wasm_i32x4_trunc_sat_f32x4(A));
    case FLOAT32 << 2 | BOOL: EACH(truth(wasm_f32x4_ne(A, wasm_f32x4_splat(0))));
    case INT32 << 2 | FLOAT32:
    case BOOL << 2 | FLOAT32: EACH(wasm_f32x4_convert_i32x4(A));
    case INT32 << 2 | BOOL: EACH(truth(wasm_i32x4_ne(A, wasm_i32x4_splat(0))));
    default: EACH(A);
  }
}

// 3.8, all in float64: ((x - mean) * (1 / sqrt(variance + epsilon) * scale)) + shift
static void normalize(const Row *row, float *out, int32_t n) {
  double inverse = 0;
  for (int32_t i = 0; i < n; i++) {
#define NUMBER(which) ((double)row->at[which][i * row->step[which]])
    if (i == 0 || row->step[2] || row->step[5]) inverse = 1.0 / __builtin_sqrt(NUMBER(2) + NUMBER(5));
    out[i] = (float)((NUMBER(0) - NUMBER(1)) * (inverse * NUMBER(3)) + NUMBER(4));
#undef NUMBER
  }
}

static void affine(const Row *row, float *out, int32_t n) { EACH(wasm_f32x4_add(wasm_f32x4_mul(A, B), C)); }

static void choose(const Row *row, float *out, int32_t n) {
  EACH(wasm_v128_bitselect(B, C, wasm_i32x4_ne(A, wasm_i32x4_splat(0))));
}

static void one_row(const Call *call, Row *row, float *out, int32_t n) {
  int whole = call->dtype != FLOAT32;
  make_smooth(row, n);
  switch (call->code) {
    case UNARY: (whole ? unary_whole : unary)(row, out, n, call->sub); return;
    case BINARY: (whole ? binary_whole : binary)(row, out, n, call->sub); return;
    case COMPARE: (whole ? compare_whole : compare)(row, out, n, call->sub); return;
    case LOGICAL: logical(row, out, n, call->sub); return;
    case CAST: cast(row, out, n, call->dtype, call->sub); return;
    case NORMALIZE: normalize(row, out, n); return;
    case AFFINE:
      affine(row, out, n);
      return;
    case SELECT:
      choose(row, out, n);
      return;
  }
}

// Every row of the iteration space; a unit is one row, in row-major order.
void run_elements(const Call *call, int32_t begin, int32_t end) {
  int32_t last = call->rank - 1, n = call->size[last];
  Row row;
  for (int32_t k = 0; k < OPERANDS; k++) row.step[k] = call->step[k][last];
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t rest = unit, offset[OPERANDS] = {0};
    for (int32_t axis = last - 1; axis >= 0; axis--) {
      int32_t at = rest % call->size[axis];
      rest /= call->size[axis];
      for (int32_t k = 0; k < OPERANDS; k++) offset[k] += at * call->step[k][axis];
    }
    for (int32_t k = 0; k < OPERANDS; k++) row.at[k] = words(call->in[k]) + offset[k];
    one_row(call, &row, words(call->out) + (int64_t)unit * n, n);
  }
}

// The words from `begin` to `end` of a call with one axis, or the rows that they are of a call with two.
void run_elements_between(const Call *call, int32_t begin, int32_t end) {
  if (call->rank == 2) {
    run_elements(call, begin / call->size[1], end / call->size[1]);
    return;
  }
  Row row;
  for (int32_t k = 0; k < OPERANDS; k++) {
    row.step[k] = call->step[k][0];
    row.at[k] = words(call->in[k]) + (int64_t)begin * row.step[k];
  }
  one_row(call, &row, words(call->out) + begin, end - begin);
}

// A strided view into a strided view, word by word; a unit is one row.
void run_copy(const Call *call, int32_t begin, int32_t end) {
  int32_t last = call->rank - 1, n = call->size[last];
  int32_t from_step = call->step[0][last], to_step = call->out_step[last];
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t rest = unit, from = call->fact[0] + call->loop * call->fact[2], to = call->fact[1] + call->loop * call->fact[3];
    for (int32_t axis = last - 1; axis >= 0; axis--) {
      int32_t at = rest % call->size[axis];
      rest /= call->size[axis];
      from += at * call->step[0][axis];
      to += at * call->out_step[axis];
    }
    const int32_t *a = integers(call->in[0]) + from;
    int32_t *b = integers(call->out) + to;
    if (from_step == 1 && to_step == 1)
      __builtin_memcpy(b, a, (uint32_t)n * 4);
    else
      for (int32_t i = 0; i < n; i++) b[i * to_step] = a[i * from_step];
  }
}

// One word everywhere; one unit.
void run_fill(const Call *call, int32_t begin, int32_t end) {
  if (begin >= end) return;
  int32_t word = *integers(call->in[0]), *out = integers(call->out);
  for (int32_t i = 0; i < call->fact[0]; i++) out[i] = word;
}
