// The second step of prove_rounding.py: whether a float32 is the correctly rounded value of an elementary function, by
// double-double arithmetic with a proven error, in another way than kernels/exact/functions.c.
//
// A double-double is an unevaluated sum h + l with |l| <= ulp(h) / 2. With u = 2^-53, `add` errs by at most 3u^2 + 13u^3 of
// the sum, `times` by 5u^2 (7u^2 without a fused product), `over` by 15u^2 (Joldes, Muller and Popescu, Tight and rigorous
// error bounds for basic building blocks of double-word arithmetic, 2017): 2^-102 covers each. Nothing overflows or
// underflows: arguments are float32, so that no intermediate lies below 2^-500 or above 2^200.
//
// What each evaluation adds to that, as a part of its result:
//   expm1 of r, |r| <= 0.35 (`near_zero`): the series for s = r / 32 ends before s^10/10!, 2^-80 of s; the part taken in float64
//     begins at s^5/5!, 2^-33 of s, of which 2^-50 is wrong: 2^-83. E(2 + E), five times, multiplies the error by less than
//     1.3: 2^-79.
//   exp: r = x - k ln 2 errs by 2^-102 absolutely, 1 + E >= 0.7: 2^-78. expm1 beyond 0.35: e^x / |e^x - 1| <= 3.4: 2^-76.
//   log: y is any guess; d = A e^-y - 1 errs by 2^-77 |y|, log A = y + d - d^2/2 + ..., where |d| <= 2^-30 |y| and d <= 2^-30 are
//     required, so that what is left out is below 2^-91 |y|: 2^-75. log1p and softplus alike: 2^-74.
//   tanh, sigmoid: one quotient of the above: 2^-74.
//   sin, cos: 2/pi is cut at 2^-192, times 2^26: 2^-166 of a quarter turn, of which r is required to be 2^-80 at least: 2^-86.
//     The float64 part of the series begins at z^6, 2^-36 of the result: 2^-86.
//   erf: the alternating series for x < 4 has 88 terms, whose magnitudes sum to less than 2^18.2, its value is at least 2^-2.2:
//     88 * 2 * 2^-102 * 2^20.4 < 2^-74; it is cut where the next term is below 2^-80.
//   rsqrt: a middle m has 25 bits, m^2 x is exact: decided without any error.
// So 2^-70 bounds all; what lies within DOUBT = 2^-66 of a middle is left to many digits.
#include "prove_rounding.h"

#define DOUBT 0x1p-66
enum { NEAR, CERTAIN, UNKNOWN };  // the value to within the bound; the very float32; neither

static inline double to_whole(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

static inline double scale_of(int k) {
  union { uint64_t i; double d; } u = {.i = (uint64_t)(k + 1023) << 52};
  return u.d;
}

static inline dd quick_sum(double a, double b) {  // |a| >= |b|
  double h = a + b;
  return (dd){h, b - (h - a)};
}

static inline dd sum(double a, double b) {
  double h = a + b, t = h - a;
  return (dd){h, (a - (h - t)) + (b - t)};
}

static inline dd product(double a, double b) {
  double h = a * b;
#ifdef __FMA__
  return (dd){h, __builtin_fma(a, b, -h)};
#else
  double s = 134217729.0 * a, t = 134217729.0 * b, c = s - (s - a), d = t - (t - b), e = a - c, f = b - d;
  return (dd){h, ((c * d - h) + c * f + e * d) + e * f};
#endif
}

static inline dd add(dd a, dd b) {
  dd s = sum(a.h, b.h), t = sum(a.l, b.l), v = quick_sum(s.h, s.l + t.h);
  return quick_sum(v.h, t.l + v.l);
}

static inline dd times(dd a, dd b) {
  dd p = product(a.h, b.h);
  return quick_sum(p.h, p.l + (a.h * b.l + a.l * b.h));
}

static inline dd over(dd a, dd b) {
  double q = a.h / b.h;
  dd one = {q, 0}, r = times(b, one);
  dd rest = add(a, (dd){-r.h, -r.l});
  return quick_sum(q, rest.h / b.h);
}

static inline dd wide(double x) { return (dd){x, 0}; }
static inline dd scaled(dd a, double by) { return (dd){a.h * by, a.l * by}; }  // by a power of two
static inline dd minus(dd a) { return (dd){-a.h, -a.l}; }

static dd near_zero(dd r) {  // e^r - 1
  dd s = scaled(r, 0x1p-5);
  double rest = INVERSE[9].h;
  for (int n = 8; n >= 5; n--) rest = rest * s.h + INVERSE[n].h;
  dd p = add(INVERSE[4], times(s, wide(rest)));
  p = add(INVERSE[3], times(s, p));
  p = add(INVERSE[2], times(s, p));
  dd e = add(s, times(times(s, s), p));
  for (int i = 0; i < 5; i++) e = times(e, add(e, wide(2)));
  return e;
}

// e^x = 2^k (1 + E); k is 0 where |x| <= 0.34.
static dd powers(double x, int *k) {
  double n = to_whole(x * 1.4426950408889634);
  dd r = sum(x, -n * LN2[0]);
  r = add(add(r, wide(-n * LN2[1])), wide(-n * LN2[2]));
  *k = (int)n;
  return near_zero(r);
}

static dd exp_of(double x) {
  int k;
  dd e = powers(x, &k);
  return scaled(add(e, wide(1)), scale_of(k));
}

static dd expm1_of(double x) {
  int k;
  dd e = powers(x, &k);
  return k ? add(scaled(add(e, wide(1)), scale_of(k)), wide(-1)) : e;
}

static double guess(double a) {  // of log a
  union { double d; uint64_t i; } u = {.d = a};
  int k = (int)(u.i >> 52) - 1023;
  u.i = (u.i & 0xfffffffffffff) | 0x3ff0000000000000;
  if (u.d > 1.4142) u.d *= 0.5, k++;
  double s = (u.d - 1) / (u.d + 1), z = s * s, p = 0;
  for (int n = 25; n >= 1; n -= 2) p = p * z + 2.0 / n;
  return k * 0.6931471805599453 + s * p;
}

// log a, where `less` is a - 1.
static int log_of(dd a, dd less, double y, dd *out) {
  int k;
  dd e = powers(-y, &k), b = k ? add(scaled(a, scale_of(k)), wide(-1)) : less;
  dd d = add(add(b, e), times(b, e));
  if (!(magnitude(d.h) <= 0x1p-30 && magnitude(d.h) <= 0x1p-30 * magnitude(y))) return UNKNOWN;
  *out = add(wide(y), add(d, wide(-0.5 * d.h * d.h)));
  return NEAR;
}

static int log1p_of(dd x, dd *out) {
  double u = 1 + x.h;
  return log_of(add(x, wide(1)), x, guess(u) + (x.h - (u - 1)) / u, out);
}

static dd tanh_of(double a) {
  dd e = expm1_of(2 * a);
  return over(e, add(e, wide(2)));
}

static dd sigmoid_of(double x) {
  dd e = exp_of(-magnitude(x));
  return over(x < 0 ? e : wide(1), add(e, wide(1)));
}

static int softplus_of(double x, dd *out) {
  int how = log1p_of(exp_of(-magnitude(x)), out);
  if (x > 0) *out = add(*out, wide(x));
  return how;
}

static dd erf_of(double a) {
  int terms = a < 0.125 ? 11 : a < 0.5 ? 18 : a < 1 ? 25 : a < 2 ? 42 : 88;
  dd z = wide(-a * a), s = ERROR[terms - 1];
  for (int n = terms - 2; n >= 0; n--) s = add(ERROR[n], times(s, z));
  return times(times(s, wide(a)), ROOT);
}

// a = n pi/2 + r, |r| <= pi/4; by the bits of 2/pi that are no whole turns.
static int reduced(double a, int *n, dd *r) {
  *n = 0;
  *r = wide(a);
  if (a < 0.785) return NEAR;
  uint32_t bits = bits_of((float)a), limb[6];
  uint64_t m = (bits & 0x7fffff) | 0x800000, carry = 0;
  const uint32_t *turn = TURNS[(int)(bits >> 23) - 150 + 24];  // a = m 2^e, e from -24 on
  for (int i = 0; i < 6; i++) {
    carry += m * turn[i];
    limb[i] = (uint32_t)carry;
    carry >>= 32;
  }
  *n = (int)((((uint64_t)limb[5] + 0x20000000) >> 30) & 3);
  limb[5] -= (uint32_t)*n << 30;
  int negative = (int32_t)limb[5] < 0;
  carry = 1;
  for (int i = 0; i < 6 && negative; i++) {
    carry += (uint32_t)~limb[i];
    limb[i] = (uint32_t)carry;
    carry >>= 32;
  }
  dd f = wide(0);
  for (int i = 5; i >= 0; i--) f = add(f, wide((double)limb[i] * scale_of(32 * i - 190)));
  *r = times(negative ? minus(f) : f, HALF_PI);
  return f.h >= 0x1p-80 ? NEAR : UNKNOWN;
}

static dd series(const dd *c, dd z) {  // c1 + c2 z + ... + c12 z^11
  double rest = c[12].h;
  for (int n = 11; n >= 6; n--) rest = rest * z.h + c[n].h;
  dd p = add(c[5], times(z, wide(rest)));
  for (int n = 4; n >= 1; n--) p = add(c[n], times(z, p));
  return p;
}

static int turned(double x, int quarter, dd *out) {
  int n, how;
  dd r;
  how = reduced(magnitude(x), &n, &r);
  if (x < 0) n = -n, r = minus(r);
  n = (n + quarter) & 3;
  dd z = times(r, r);
  dd y = n & 1 ? add(wide(1), times(z, series(COSINE, z))) : add(r, times(times(r, z), series(SINE, z)));
  *out = n & 2 ? minus(y) : y;
  return how;
}

static int certain(double y, dd *out) {
  *out = wide(y);
  return CERTAIN;
}

static int near(dd y, dd *out) {
  *out = y;
  return NEAR;
}

// The value at x, no NaN. Where it is certain, monotony or the function's definition gives the float32.
static int evaluate(int function, double x, dd *out) {
  const double infinite = __builtin_inf(), none = __builtin_nan("");
  double a = magnitude(x);
  switch (function) {
    case EXP: return x > 89 ? certain(infinite, out) : x < -104 ? certain(0, out) : near(exp_of(x), out);
    case EXPM1:
      if (x == 0) return certain(x, out);
      return x > 89 ? certain(infinite, out) : x < -20 ? certain(-1, out) : near(expm1_of(x), out);
    case LOG:
      if (!(x > 0) || x == infinite) return certain(x == 0 ? -infinite : x < 0 ? none : x, out);
      return x == 1 ? certain(0, out) : log_of(wide(x), sum(x, -1), guess(x), out);
    case LOG1P:
      if (!(x > -1) || x == 0 || x == infinite) return certain(x == -1 ? -infinite : x < -1 ? none : x, out);
      return log1p_of(wide(x), out);
    case TANH:
      if (x == 0 || a >= 10) return certain(x == 0 ? x : x > 0 ? 1 : -1, out);
      return near(x < 0 ? minus(tanh_of(a)) : tanh_of(a), out);
    case SIGMOID: return x > 20 ? certain(1, out) : x < -104 ? certain(0, out) : near(sigmoid_of(x), out);
    case SOFTPLUS: return x > 104 ? certain(x, out) : x < -104 ? certain(0, out) : softplus_of(x, out);
    case ERF:
      if (x == 0 || a >= 4) return certain(x == 0 ? x : x > 0 ? 1 : -1, out);
      return near(x < 0 ? minus(erf_of(a)) : erf_of(a), out);
    case SIN: return a == infinite ? certain(none, out) : x == 0 ? certain(x, out) : turned(x, 0, out);
    case COS: return a == infinite ? certain(none, out) : turned(x, 1, out);
    default: return UNKNOWN;
  }
}

// Halfway from y to the float32 above it (for `up` < 0 below it).
static double middle(float y, int up) {
  uint32_t bits = bits_of(y), plain = bits & 0x7fffffff;
  int away = (up > 0) == !(bits >> 31);  // from 0
  double beside;
  if (plain == 0) return up * 0x1p-150;
  if (plain == 0x7f800000) beside = away ? __builtin_inf() : (double)float_of(0x7f7fffff);
  else beside = plain == 0x7f7fffff && away ? 0x1p128 : (double)float_of(away ? plain + 1 : plain - 1);
  double near = plain == 0x7f800000 ? 0x1p128 : (double)float_of(plain), y2 = (near + beside) * 0.5;
  return bits >> 31 ? -y2 : y2;
}

// Whether the value lies above `edge` (1), below (-1) or too near to tell (0).
static int side(dd value, double edge) {
  double distance = (value.h - edge) + value.l, doubt = DOUBT * magnitude(value.h);
  return distance > doubt ? 1 : distance < -doubt ? -1 : 0;
}

static int judged(dd value, float y) {
  if (y != y) return WRONG;
  if (y == 0 && (value.h < 0) != bits_of(y) >> 31) return WRONG;
  int above = side(value, middle(y, -1)), below = side(value, middle(y, 1));
  return above < 0 || below > 0 ? WRONG : above && below ? RIGHT : DOUBTFUL;
}

static int square_side(double m, double x) {  // of m^2 x and 1
  dd p = product(m * m, x);
  return p.h > 1 || (p.h == 1 && p.l > 0) ? 1 : p.h == 1 && p.l == 0 ? 0 : -1;
}

static int judged_root(double x, float y) {
  if (!(x > 0) || x == __builtin_inf()) {
    float wanted = x < 0 ? float_of(NO_NUMBER) : x == 0 ? (float)(1 / x) : 0.0f;
    return bits_of(y) == bits_of(wanted) ? RIGHT : WRONG;
  }
  if (!(y > 0x1p-65f && y < 0x1p75f)) return WRONG;
  int low = square_side(middle(y, -1), x), high = square_side(middle(y, 1), x);
  return low > 0 || high < 0 ? WRONG : low && high ? RIGHT : DOUBTFUL;
}

static int judge(int function, float x, uint32_t found) {
  dd value;
  if (x != x) return found == NO_NUMBER ? RIGHT : WRONG;
  if (function == RSQRT) return judged_root((double)x, float_of(found));
  int how = evaluate(function, (double)x, &value);
  if (how == UNKNOWN) return DOUBTFUL;
  if (how == NEAR) return judged(value, float_of(found));
  uint32_t wanted = value.h != value.h ? NO_NUMBER : bits_of((float)value.h);
  return found == wanted ? RIGHT : WRONG;
}

__attribute__((visibility("default"))) void judge_all(int32_t function, int64_t count, const uint32_t *bits,
                                                      const uint32_t *found, uint8_t *verdict) {
  for (int64_t i = 0; i < count; i++) verdict[i] = (uint8_t)judge(function, float_of(bits[i]), found[i]);
}

// The double-doubles themselves, to be tested: h and l of each; NaN where nothing is evaluated.
__attribute__((visibility("default"))) void values(int32_t function, int64_t count, const double *x, double *h,
                                                   double *l) {
  for (int64_t i = 0; i < count; i++) {
    dd value;
    int how = evaluate(function, x[i], &value);
    h[i] = how == NEAR ? value.h : __builtin_nan("");
    l[i] = value.l;
  }
}
