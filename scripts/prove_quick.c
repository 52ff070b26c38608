// The first step of prove_rounding.py: most results are shown to be correctly rounded by float64 alone. Each function
// is evaluated as y with a relative error below 2^-43, so that its value lies between y (1 - 2^-42) and y (1 + 2^-42),
// of which float64 has both to 2^-53. Rounding is monotone: where both ends round to the float32 that was found, the
// value does. Nothing is called wrong here, and what is not decided is left to the double-doubles of prove_rounding.c.
// Written so that the compiler computes several inputs at once: no branches.
//
// The errors, u = 2^-53 being that of one rounding; a sum, product, quotient or root of float64 adds u, a fused step
// less than the two it replaces. Nothing underflows: no intermediate but 0 lies below 2^-600.
//   power: |x| <= 110 is required. n ln 2 is taken by two parts of 40 bits (n of 8: exact products) and what is left
//     out is below 2^-72. x - n LN2[0] is exact where x is a float32: n = 0, or |x| > 0.34, a multiple of 2^-25, and
//     the difference a multiple of 2^-40 below 0.35. For erf x is a square, a multiple of 2^-50 then, exact as well. So
//     |r| <= 0.3466 errs by u |r| and 2^-72. The series to r^13/13! leaves out r^14/14! (1 + ...) < 2^-56 |r|. E = r +
//     r^2 Q, where |r Q| < 0.21 and Q errs by less than 4u of itself: E errs by less than 4u |r|, 6u |E|, and 2^-71.
//   exp: s + s E, s a power of two, 1 + E > 0.7: 6u. expm1: E itself where n = 0 (s - 1 = 0; 6u). Else |e^x - 1| >
//     0.29, and the sum of s E and s - 1 errs by less than 8u max(s, 1), max(s, 1) <= 5 |e^x - 1|: 40u. Beyond 110
//     value and y are above 2^158, beyond -110 below 2^-158 (of expm1 + 1): both round to the same float32.
//   log: u = 2^k m, 11/16 <= m < 11/8, f = m - 1 is exact. s = f / (2 + f) errs by 2u, z = s^2 <= 0.0344 by 5u. The
//     series to z^9/19 leaves out z^10/21 (1 + ...) < 2^-52 of a sum P between 1 and 1.012, which errs by less than 3u:
//     2 s P errs by 6u + 2u. That is all where k = 0. Else |log u| > 0.31, k LN2[0] is exact, the rest errs by 2^-72,
//     8u 0.38 and the two sums by u 0.4 and u |log u|: 13u.
//   log1p: f is x itself where k = 0: 8u. Else the rounding of 1 + x adds u to the logarithm: 17u.
//   softplus: w = e^-|x| errs by 6u, of which log(1 + w) keeps at most as many, for w / ((1 + w) log(1 + w)) < 1: with
//     log1p's 17u and the last sum 24u. Beyond 110 as with exp.
//   tanh, sigmoid: E / (E + 2) changes by at most as large a part as E, likewise e / (1 + e): 43u and 9u. tanh is taken
//     at 50 beyond 50, where value and y round to 1.
//   erf: 2/sqrt(pi) a e^-z (1 + 2z/3 + (2z)^2/15 + ...), z = a^2 <= 16, exact. All terms are positive: the error of
//     Horner's rule is at most (3 * 60 + 1) u. Left out is what begins with (2z)^60/121!! < 2^-34 and shrinks by 3 from
//     there on; its share of the sum grows with z and is below u at z = 16, where the sum is above 2^20. With e^-z and
//     the three products less than 200u = 2^-45.3. Beyond 4 the value lies between y = erf(4) and 1, both of which
//     round to 1.
//   sin, cos: a = m 2^e, m < 2^24. 2/pi 2^e, less the multiples of 4 in it, is T1 + T2 + T3: T1 a multiple of 2^-27, T2
//     < 2^-27 one of 2^-55, T3 < 2^-55 to 2^-108. m T1, m T2 and m T1 - n are exact. |m T1 - n + m T2| <= 0.51 is a
//     multiple of 2^-55, exact below 1/4, errs by u of itself above. m T3 < 2^-31 errs by 2^-83, so that the share f of
//     a quarter turn errs by 2u and 2^-83, of which |f| >= 2^-34 is required: 2^-49, r = f pi/2 by less than 20u. Below
//     3/4, r = a. With |r| <= 0.81 sine and cosine err by at most 1.1 times as large a part of theirs; the series to
//     r^17 and r^16 leave out 2^-58 and 2^-57, and add less than 6u: 30u.
//   rsqrt: two roundings. Where there is no value or no finite one, y is NaN or infinite by the function's definition;
//     NaN nowhere else.
// So 200u < 2^-45 bounds all.
#include "prove_rounding.h"

#define BLOCK 256
#define LOW (1 - 0x1p-42)
#define HIGH (1 + 0x1p-42)
#define OPEN (1 + 0x1p-24)  // a middle between two float32: nothing is decided by it
#define WHOLE 0x1.8p52      // x + WHOLE has the whole number nearest to x in its lowest bits

static inline uint64_t word_of(double x) {
  union { double d; uint64_t i; } u = {.d = x};
  return u.i;
}

static inline double double_of(uint64_t word) {
  union { uint64_t i; double d; } u = {.i = word};
  return u.d;
}

static inline double step(double p, double x, double c) {  // p x + c
#ifdef __FMA__
  return __builtin_fma(p, x, c);
#else
  return p * x + c;
#endif
}

static inline double within(double x, double limit) { return x > limit ? limit : x < -limit ? -limit : x; }

// e^x = scale (1 + E): E
static inline double power(double x, double *scale) {
  double shifted = x * 1.4426950408889634 + WHOLE, n = shifted - WHOLE;
  double r = (x - n * LN2[0]) - n * LN2[1], q = INVERSE[13].h;
#pragma clang loop unroll(full)
  for (int i = 12; i >= 2; i--) q = step(q, r, INVERSE[i].h);
  *scale = double_of((word_of(shifted) + 1023) << 52);
  return r + r * r * q;
}

static inline double exp_of(double x) {
  double scale, e = power(within(x, 110), &scale);
  return scale + scale * e;
}

static inline double expm1_of(double x) {
  double scale, e = power(within(x, 110), &scale);
  return scale * e + (scale - 1);
}

// log u, where `near` is u - 1 if u lies between 11/16 and 11/8
static inline double log_from(double u, double near) {
  int32_t k = (int32_t)((word_of(u) + 0xa000000000000) >> 52) - 1023;
  double m = double_of(word_of(u) - ((uint64_t)(int64_t)k << 52)), f = k ? m - 1 : near, n = k;
  double s = f / (2 + f), z = s * s, p = 1.0 / 19;
#pragma clang loop unroll(full)
  for (int i = 17; i >= 1; i -= 2) p = step(p, z, 1.0 / i);
  return n * LN2[0] + (n * LN2[1] + 2 * s * p);
}

static inline double log_of(double x) {
  double y = log_from(x, x - 1);
  return x > 0 ? x < __builtin_inf() ? y : x : x == 0 ? -__builtin_inf() : __builtin_nan("");
}

static inline double log1p_of(double x) {
  double y = log_from(1 + x, x);
  return x > -1 ? x < __builtin_inf() ? y : x : x == -1 ? -__builtin_inf() : __builtin_nan("");
}

static inline double softplus_of(double x) {
  double w = exp_of(-magnitude(x));
  return (x < 0 ? 0 : x) + log_from(1 + w, w);  // log_from gives some number for NaN, x does not
}

static inline double tanh_of(double x) {
  double e = expm1_of(2 * within(magnitude(x), 50)), t = e / (e + 2);
  return x < 0 ? -t : t;
}

static inline double sigmoid_of(double x) {
  double e = exp_of(-magnitude(x));
  return (x < 0 ? e : 1) / (1 + e);
}

static inline double erf_of(double x) {
  double a = within(magnitude(x), 4), z = a * a, p = RISING[59].h;
#pragma clang loop unroll(full)
  for (int i = 58; i >= 0; i--) p = step(p, z, RISING[i].h);
  double y = ROOT.h * a * p * exp_of(-z);
  return x < 0 ? -y : y;
}

static inline double rsqrt_of(double x) { return 1 / __builtin_sqrt(x); }

// sin(x + quarter pi/2)
static inline double turned(double x, uint32_t quarter) {
  double a = magnitude(x);
  uint32_t bits = bits_of((float)a), at = bits >> 23;
  double m = (int32_t)((bits & 0x7fffff) | 0x800000), high = m * SHARES[0][at], low = m * SHARES[1][at];
  double shifted = (high + low) + WHOLE, f = ((high - (shifted - WHOLE)) + low) + m * SHARES[2][at];
  int small = a < 0.75;
  double r = small ? a : f * HALF_PI.h, z = r * r, sine = SINE[8].h, cosine = COSINE[8].h;
  uint64_t n = (small ? 0 : word_of(shifted)) + quarter;
#pragma clang loop unroll(full)
  for (int i = 7; i >= 1; i--) sine = step(sine, z, SINE[i].h), cosine = step(cosine, z, COSINE[i].h);
  double y = n & 1 ? 1 + z * cosine : r + r * z * sine;
  y = n & 2 ? -y : y;
  y = !quarter && x < 0 ? -y : y;
  y = small || magnitude(f) >= 0x1p-34 ? y : OPEN;
  return a < __builtin_inf() ? y : __builtin_nan("");
}

#define EACH(value)                              \
  for (int i = 0; i < count; i++) {              \
    double x = float_of(bits[i]);                \
    y[i] = value;                                \
  }                                              \
  return

static void evaluate(int function, int count, const uint32_t *restrict bits, double *restrict y) {
  switch (function) {
    case COS: EACH(turned(x, 1));
    case ERF: EACH(erf_of(x));
    case EXP: EACH(exp_of(x));
    case EXPM1: EACH(expm1_of(x));
    case LOG: EACH(log_of(x));
    case LOG1P: EACH(log1p_of(x));
    case RSQRT: EACH(rsqrt_of(x));
    case SIGMOID: EACH(sigmoid_of(x));
    case SIN: EACH(turned(x, 0));
    case SOFTPLUS: EACH(softplus_of(x));
    case TANH: EACH(tanh_of(x));
  }
}

// RIGHT or DOUBTFUL for every input.
__attribute__((visibility("default"))) void judge_quickly(int32_t function, int64_t count, const uint32_t *bits,
                                                          const uint32_t *found, uint8_t *verdict) {
  double y[BLOCK];
  for (int64_t start = 0; start < count; start += BLOCK) {
    int size = count - start < BLOCK ? (int)(count - start) : BLOCK;
    evaluate(function, size, bits + start, y);
    for (int i = 0; i < size; i++) {
      uint32_t low = bits_of((float)(y[i] * LOW)), high = bits_of((float)(y[i] * HIGH)), given = found[start + i];
      int agrees = (low == given) & (high == given), none = given == NO_NUMBER;
      verdict[start + i] = (y[i] != y[i] ? none : agrees) ? RIGHT : DOUBTFUL;
    }
  }
}

// The float64 themselves, to be tested.
__attribute__((visibility("default"))) void quick_values(int32_t function, int64_t count, const uint32_t *bits,
                                                         double *y) {
  for (int64_t at = 0; at < count; at += BLOCK)
    evaluate(function, count - at < BLOCK ? (int)(count - at) : BLOCK, bits + at, y + at);
}
