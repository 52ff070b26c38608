// Over whole axes: reductions, the largest's place, softmax; and rows of a table. spec.md, sections 3 and 6.
#include "exact.h"

// The offset of the `unit`-th element of the first `rank` axes.
static int32_t offset_of(const Call *call, int32_t rank, int32_t unit) {
  int32_t offset = 0;
  for (int32_t axis = rank - 1; axis >= 0; axis--) {
    offset += unit % call->size[axis] * call->step[0][axis];
    unit /= call->size[axis];
  }
  return offset;
}

static float folded(float a, float b, int32_t sub) {
  if (b != b) return b;
  return sub == REDUCE_MAX ? (a < b ? b : a) : (b < a ? b : a);
}

static int32_t folded_whole(int32_t a, int32_t b, int32_t sub) {
  switch (sub) {
    case REDUCE_ALL: return a & b;
    case REDUCE_ANY: return a | b;
    case REDUCE_MAX: return larger(a, b);
    case REDUCE_MIN: return smaller(a, b);
    default: return (int32_t)((uint32_t)a + (uint32_t)b);
  }
}

// Four neighbouring sums at once where the outputs lie side by side in the operand.
static void four_sums(const Call *call, const float *x, float *out) {
  int32_t kept = call->fact[0], terms = call->fact[1], count = call->fact[2];
  v128_t low = wasm_f64x2_splat(0), high = low;
  int32_t last = call->rank - 1, n = call->size[last], step = call->step[0][last];
  for (int32_t t = 0; t < terms; t += n) {
    int32_t rest = t / larger(n, 1), from = 0;
    for (int32_t axis = last - 1; axis >= kept; axis--) {
      from += rest % call->size[axis] * call->step[0][axis];
      rest /= call->size[axis];
    }
    for (int32_t i = 0; i < n; i++) {
      v128_t four = wasm_v128_load(x + from + i * step);
      low = wasm_f64x2_add(low, wasm_f64x2_promote_low_f32x4(four));
      high = wasm_f64x2_add(high, wasm_f64x2_promote_low_f32x4(wasm_i32x4_shuffle(four, four, 2, 3, 2, 3)));
    }
  }
  if (call->sub == REDUCE_MEAN) {
    low = wasm_f64x2_div(low, wasm_f64x2_splat((double)count));
    high = wasm_f64x2_div(high, wasm_f64x2_splat((double)count));
  }
  v128_t a = wasm_f32x4_demote_f64x2_zero(low), b = wasm_f32x4_demote_f64x2_zero(high);
  wasm_v128_store(out, wasm_i32x4_shuffle(a, b, 0, 1, 4, 5));
}

// The terms of one output; the axes from `kept` on, row-major.
static void one(const Call *call, const float *x, float *out) {
  int32_t kept = call->fact[0], terms = call->fact[1], count = call->fact[2], sub = call->sub;
  int32_t last = call->rank - 1, n = call->size[last], step = call->step[0][last];
  double sum = 0;
  float extreme = sub == REDUCE_MAX ? -__builtin_inff() : __builtin_inff();
  int32_t whole = sub == REDUCE_ALL ? 1 : sub == REDUCE_MAX ? INT32_MIN : sub == REDUCE_MIN ? INT32_MAX : 0;
  for (int32_t t = 0; t < terms; t += n) {
    int32_t rest = t / n, from = 0;
    for (int32_t axis = last - 1; axis >= kept; axis--) {
      from += rest % call->size[axis] * call->step[0][axis];
      rest /= call->size[axis];
    }
    if (call->dtype != FLOAT32)
      for (int32_t i = 0; i < n; i++) whole = folded_whole(whole, ((const int32_t *)x)[from + i * step], sub);
    else if (sub == REDUCE_SUM || sub == REDUCE_MEAN)
      for (int32_t i = 0; i < n; i++) sum += (double)x[from + i * step];
    else
      for (int32_t i = 0; i < n; i++) extreme = folded(extreme, x[from + i * step], sub);
  }
  if (call->dtype != FLOAT32)
    *(int32_t *)out = whole;
  else if (sub == REDUCE_SUM || sub == REDUCE_MEAN)
    *out = (float)(sub == REDUCE_MEAN ? sum / (double)count : sum);
  else
    *out = extreme;
}

void run_reduce(const Call *call, int32_t begin, int32_t end) {
  int32_t kept = call->fact[0], row = kept ? call->size[kept - 1] : 1;
  int sums = call->dtype == FLOAT32 && (call->sub == REDUCE_SUM || call->sub == REDUCE_MEAN);
  int together = sums && kept && call->step[0][kept - 1] == 1;
  float *out = words(call->out);
  for (int32_t unit = begin; unit < end;) {
    const float *x = words(call->in[0]) + offset_of(call, kept, unit);
    if (together && unit + 4 <= end && unit % row + 4 <= row) {
      four_sums(call, x, out + unit);
      unit += 4;
    } else {
      one(call, x, out + unit);
      unit++;
    }
  }
}

// The first of the largest; a NaN is larger than any number.
void run_argmax(const Call *call, int32_t begin, int32_t end) {
  int32_t kept = call->rank - 1, n = call->size[kept], step = call->step[0][kept];
  for (int32_t unit = begin; unit < end; unit++) {
    const float *x = words(call->in[0]) + offset_of(call, kept, unit);
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
      float a = x[best * step], b = x[i * step];
      int better = call->dtype == FLOAT32 ? a < b || (b != b && a == a)
                                          : ((const int32_t *)x)[best * step] < ((const int32_t *)x)[i * step];
      if (better) best = i;
    }
    integers(call->out)[unit] = best;
  }
}

// 6.4: the exponentials and their sum in float64, each quotient rounded once. The zero that the largest may be has a sign
// that no exponential shows: the largest is found in any order.
static float largest_of(const float *x, int32_t n, int32_t step) {
  v128_t four = wasm_f32x4_splat(-__builtin_inff());
  int32_t i = 0;
  for (; step == 1 && i + 4 <= n; i += 4) four = wasm_f32x4_max(four, wasm_v128_load(x + i));
  float lanes[4], largest = -__builtin_inff();
  wasm_v128_store(lanes, four);
  for (int lane = 0; lane < 4; lane++) largest = folded(largest, lanes[lane], REDUCE_MAX);
  for (; i < n; i++) largest = folded(largest, x[i * step], REDUCE_MAX);
  return largest;
}

static void softmax_row(const float *x, float *y, int32_t n, int32_t step, double *e) {
  double largest = (double)largest_of(x, n, step), sum = 0;
  for (int32_t i = 0; i < n; i += 2) {
    int32_t other = i + 1 < n ? i + 1 : i;
    v128_t two = wasm_f64x2_make((double)x[i * step] - largest, (double)x[other * step] - largest);
    two = exp_pair(two);
    e[i] = wasm_f64x2_extract_lane(two, 0);
    sum += e[i];
    if (other == i) break;
    e[other] = wasm_f64x2_extract_lane(two, 1);
    sum += e[other];
  }
  int32_t i = 0;
  for (; step == 1 && i + 2 <= n; i += 2) {
    v128_t two = wasm_f64x2_div(wasm_v128_load(e + i), wasm_f64x2_splat(sum));
    wasm_v128_store64_lane(y + i, wasm_f32x4_demote_f64x2_zero(two), 0);
  }
  for (; i < n; i++) y[i * step] = (float)(e[i] / sum);
}

void run_softmax(const Call *call, int32_t begin, int32_t end) {
  int32_t kept = call->rank - 1, n = call->size[kept], step = call->step[0][kept];
  double *e = (double *)words(call->scratch);
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t offset = offset_of(call, kept, unit);
    softmax_row(words(call->in[0]) + offset, words(call->out) + offset, n, step, e);
  }
}

// A unit is one index. Returns 1 where a number is none of a row.
int32_t run_gather(const Call *call, int32_t begin, int32_t end) {
  int32_t rows = call->fact[0], width = call->fact[1];
  const int32_t *table = integers(call->in[0]), *index = integers(call->in[1]);
  for (int32_t unit = begin; unit < end; unit++) {
    if (index[unit] < 0 || index[unit] >= rows) return 1;
    __builtin_memcpy(integers(call->out) + (int64_t)unit * width, table + (int64_t)index[unit] * width,
                     (uint32_t)width * 4);
  }
  return 0;
}

void run_position(const Call *call, int32_t begin, int32_t end) {
  for (int32_t i = begin; i < end; i++) integers(call->out)[i] = i;
}
