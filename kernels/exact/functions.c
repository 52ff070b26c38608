// Elementary functions in float64, each one fixed sequence of exact steps and single roundings: spec.md, section 4.
#include "exact.h"
#include "tables.h"

INLINE double absolute(double x) { return wasm_f64x2_extract_lane(wasm_f64x2_abs(wasm_f64x2_splat(x)), 0); }
INLINE int32_t whole(double x) { return __builtin_wasm_trunc_saturate_s_i32_f64(x); }

INLINE int64_t to_bits(double x) {
  union { double d; int64_t i; } u = {.d = x};
  return u.i;
}

INLINE v128_t all(double x) { return wasm_f64x2_splat(x); }
INLINE v128_t plus(v128_t a, v128_t b) { return wasm_f64x2_add(a, b); }
INLINE v128_t less(v128_t a, v128_t b) { return wasm_f64x2_sub(a, b); }
INLINE v128_t times(v128_t a, v128_t b) { return wasm_f64x2_mul(a, b); }
INLINE v128_t where(v128_t mask, v128_t a, v128_t b) { return wasm_v128_bitselect(a, b, mask); }
INLINE int everywhere(v128_t mask) { return wasm_i64x2_all_true(mask); }

INLINE v128_t horner(v128_t x, const double *c, const int terms) {
  v128_t p = all(c[terms - 1]);
  for (int i = terms - 2; i >= 0; i--) p = plus(times(p, x), all(c[i]));
  return p;
}

// 4.1: 2^(n / 64) by a table times a polynomial of the rest
INLINE v128_t exp_of(v128_t x) {
  x = wasm_f64x2_pmax(wasm_f64x2_pmin(x, all(709.0)), all(-708.0));
  v128_t n = wasm_f64x2_nearest(times(x, all(EXP_SCALE)));
  v128_t r = less(less(x, times(n, all(EXP_HIGH))), times(n, all(EXP_LOW)));
  v128_t p = plus(r, times(times(r, r), horner(r, EXP_POLY, 5)));
  v128_t whole_n = wasm_i32x4_trunc_sat_f64x2_zero(n);
  int32_t i = wasm_i32x4_extract_lane(whole_n, 0) & 63, j = wasm_i32x4_extract_lane(whole_n, 1) & 63;
  v128_t table = wasm_v128_load64_lane(EXP_TABLE + j, wasm_v128_load64_zero(EXP_TABLE + i), 1);
  v128_t rest = wasm_v128_load64_lane(EXP_REST + j, wasm_v128_load64_zero(EXP_REST + i), 1);
  v128_t exponent = wasm_i32x4_add(wasm_i32x4_shr(whole_n, 6), wasm_i32x4_splat(1023));
  v128_t power = wasm_i64x2_shl(wasm_u64x2_extend_low_u32x4(exponent), 52);
  return times(plus(table, plus(rest, times(table, p))), power);
}

// 4.2
INLINE v128_t expm1_of(v128_t x) {
  v128_t near = wasm_f64x2_lt(wasm_f64x2_abs(x), all(0.35));
  v128_t small = plus(x, times(times(x, x), horner(x, EXPM1_POLY, 13)));
  small = where(wasm_f64x2_eq(x, all(0)), x, small);
  return everywhere(near) ? small : where(near, small, less(exp_of(x), all(1)));
}

// 4.3: log((1 + f) 2^k)
INLINE v128_t log_near(v128_t f, v128_t k) {
  v128_t s = wasm_f64x2_div(f, plus(all(2), f)), z = times(s, s), h = times(times(all(0.5), f), f);
  v128_t p = times(z, horner(z, LOG_POLY, 10));
  v128_t rest = less(h, plus(times(s, plus(h, p)), times(k, all(LN2_LOW))));
  return plus(times(k, all(LN2_HIGH)), less(f, rest));
}

INLINE v128_t log_of(v128_t x) {
  v128_t base = wasm_i64x2_splat(LOG_BASE), over = wasm_i64x2_sub(x, base);
  v128_t exponent = wasm_i32x4_shr(wasm_i32x4_shuffle(over, over, 1, 3, 1, 3), 20);
  v128_t mantissa = wasm_i64x2_add(wasm_v128_and(over, wasm_i64x2_splat(0xfffffffffffff)), base);
  v128_t y = log_near(less(mantissa, all(1)), wasm_f64x2_convert_low_i32x4(exponent));
  y = where(wasm_f64x2_lt(x, all(__builtin_inf())), y, x);
  y = where(wasm_f64x2_lt(x, all(0)), all(__builtin_nan("")), y);
  return where(wasm_f64x2_eq(x, all(0)), all(-__builtin_inf()), y);
}

// 4.4
INLINE v128_t log1p_of(v128_t x) {
  v128_t near = wasm_v128_and(wasm_f64x2_gt(x, all(-0.29)), wasm_f64x2_lt(x, all(0.41)));
  v128_t small = where(wasm_f64x2_eq(x, all(0)), x, log_near(x, all(0)));
  return everywhere(near) ? small : where(near, small, log_of(plus(all(1), x)));
}

// 4.5 to 4.7
INLINE v128_t tanh_of(v128_t x) {
  v128_t a = wasm_f64x2_abs(x), e = expm1_of(where(wasm_f64x2_gt(a, all(22)), all(44), times(all(2), a)));
  v128_t t = wasm_f64x2_div(e, plus(e, all(2)));
  t = where(wasm_f64x2_lt(x, all(0)), wasm_f64x2_neg(t), t);
  return where(wasm_f64x2_eq(x, all(0)), x, t);
}

INLINE v128_t sigmoid_of(v128_t x) {
  v128_t e = exp_of(wasm_f64x2_neg(wasm_f64x2_abs(x)));
  return wasm_f64x2_div(where(wasm_f64x2_lt(x, all(0)), e, all(1)), plus(all(1), e));
}

INLINE v128_t softplus_of(v128_t x) {
  v128_t above = wasm_v128_and(x, wasm_f64x2_gt(x, all(0)));
  v128_t y = plus(above, log1p_of(exp_of(wasm_f64x2_neg(wasm_f64x2_abs(x)))));
  return where(wasm_f64x2_eq(x, x), y, x);
}

// 4.8: a series near 0, then Taylor polynomials around the middles of eighths
INLINE v128_t erf_of(v128_t x) {
  v128_t a = wasm_f64x2_abs(x), near = wasm_f64x2_lt(a, all(0.5));
  v128_t small = times(x, horner(times(x, x), ERF_NEAR, 13));
  if (everywhere(near)) return small;
  v128_t middle = wasm_v128_and(wasm_f64x2_ge(a, all(0.5)), wasm_f64x2_lt(a, all(4)));
  v128_t inside = where(middle, a, all(0.5)), piece = wasm_i32x4_trunc_sat_f64x2_zero(times(inside, all(8)));
  v128_t center = times(plus(wasm_f64x2_convert_low_i32x4(piece), all(0.5)), all(0.125)), t = less(inside, center);
  const double *c = ERF_PIECES[wasm_i32x4_extract_lane(piece, 0) - 4];
  const double *d = ERF_PIECES[wasm_i32x4_extract_lane(piece, 1) - 4];
  v128_t p = wasm_v128_load64_lane(d + 11, wasm_v128_load64_zero(c + 11), 1);
  for (int i = 10; i >= 0; i--) p = plus(times(p, t), wasm_v128_load64_lane(d + i, wasm_v128_load64_zero(c + i), 1));
  v128_t y = where(middle, p, all(1));
  y = where(wasm_f64x2_lt(x, all(0)), wasm_f64x2_neg(y), y);
  return where(near, small, where(wasm_f64x2_eq(x, x), y, x));
}

INLINE v128_t rsqrt_of(v128_t x) { return wasm_f64x2_div(all(1), wasm_f64x2_sqrt(x)); }

// Of four float32, each to float64 and its result rounded once.
#define FOUR(name)                                                                              \
  v128_t name##_four(v128_t x) {                                                                \
    v128_t low = name##_of(wasm_f64x2_promote_low_f32x4(x));                                    \
    v128_t high = name##_of(wasm_f64x2_promote_low_f32x4(wasm_i32x4_shuffle(x, x, 2, 3, 2, 3))); \
    low = wasm_f32x4_demote_f64x2_zero(low);                                                    \
    return wasm_i32x4_shuffle(low, wasm_f32x4_demote_f64x2_zero(high), 0, 1, 4, 5);             \
  }

FOUR(erf)
FOUR(exp)
FOUR(expm1)
FOUR(log)
FOUR(log1p)
FOUR(rsqrt)
FOUR(sigmoid)
FOUR(softplus)
FOUR(tanh)

v128_t exp_pair(v128_t x) { return exp_of(x); }

static double exp64(double x) { return wasm_f64x2_extract_lane(exp_of(all(x)), 0); }
static double log64(double x) { return wasm_f64x2_extract_lane(log_of(all(x)), 0); }

// 4.9: x = n pi/2 + r, for large x from the 128 bits of 2/pi that matter
static double reduced(double x, int32_t *quadrant) {
  double a = absolute(x);
  if (a < 33554432.0) {
    double n = __builtin_rint(x * TWO_OVER_PI);
    *quadrant = whole(n) & 3;
    return ((x - n * HALF_PI[0]) - n * HALF_PI[1]) - n * HALF_PI[2];
  }
  int64_t bits = to_bits(a);
  int32_t exponent = (int32_t)(bits >> 52) - 1046;  // a = m 2^exponent, m a whole number of 24 bits
  uint64_t m = (((uint64_t)bits & 0xfffffffffffff) | 0x10000000000000) >> 29;
  int32_t skip = exponent - 2, at = skip >> 5, shift = skip & 31;
  uint64_t word[4];
  for (int i = 0; i < 4; i++)
    word[i] = (((uint64_t)TWO_OVER_PI_BITS[at + i] << 32 | TWO_OVER_PI_BITS[at + i + 1]) << shift) >> 32;
  // m times the 128 bits after those that only add whole turns; kept modulo 2^64 above the lower 64
  unsigned __int128 fraction = 0;
  for (int i = 0; i < 4; i++) fraction = (fraction << 32) + m * word[i];
  uint64_t high = (uint64_t)(fraction >> 64), turn = (high + 0x2000000000000000u) >> 62;
  double r = ((double)(int64_t)(high - (turn << 62)) + (double)(uint64_t)fraction * 5.421010862427522e-20) * TURN;
  *quadrant = (int32_t)(x < 0.0 ? -(int64_t)turn : (int64_t)turn) & 3;
  return x < 0.0 ? -r : r;
}

static double sine(double r) {
  double z = r * r, p = SIN_POLY[7];
  for (int i = 6; i >= 0; i--) p = p * z + SIN_POLY[i];
  return r + r * z * p;
}

static double cosine(double r) {
  double z = r * r, p = COS_POLY[7];
  for (int i = 6; i >= 0; i--) p = p * z + COS_POLY[i];
  return 1.0 + z * p;
}

static double turned(double x, int32_t quarter) {
  int32_t quadrant;
  if (!(absolute(x) < __builtin_inf())) return x - x;
  double r = reduced(x, &quadrant);
  quadrant = (quadrant + quarter) & 3;
  double y = quadrant & 1 ? cosine(r) : sine(r);
  return quadrant & 2 ? -y : y;
}

static double sin64(double x) { return x == 0.0 ? x : turned(x, 0); }
static double cos64(double x) { return turned(x, 1); }

static v128_t one_by_one(double (*function)(double), v128_t x) {
  float four[4];
  wasm_v128_store(four, x);
  for (int lane = 0; lane < 4; lane++) four[lane] = (float)function((double)four[lane]);
  return wasm_v128_load(four);
}

v128_t sin_four(v128_t x) { return one_by_one(sin64, x); }
v128_t cos_four(v128_t x) { return one_by_one(cos64, x); }

// 4.10
double pow64(double x, double y) {
  if (y == 0.0 || x == 1.0) return 1.0;
  if (x != x || y != y) return x + y;
  double a = absolute(x), half = y * 0.5;
  int whole_y = __builtin_rint(y) == y, odd = whole_y && __builtin_rint(half) != half;
  double sign = odd && to_bits(x) < 0 ? -1.0 : 1.0;
  if (x < 0.0 && !whole_y && a < __builtin_inf() && absolute(y) < __builtin_inf()) return __builtin_nan("");
  if (a == 1.0) return sign;
  if (absolute(y) == __builtin_inf()) return (a > 1.0) == (y > 0.0) ? __builtin_inf() : 0.0;
  if (a == 0.0 || a == __builtin_inf()) return sign * ((a > 1.0) == (y > 0.0) ? __builtin_inf() : 0.0);
  return sign * exp64(y * log64(a));
}
