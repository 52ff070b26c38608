// Elementary functions in float64, each one fixed sequence of exact steps and single roundings: spec.md, section 4.
#include "exact.h"
#include "tables.h"

INLINE double absolute(double x) { return wasm_f64x2_extract_lane(wasm_f64x2_abs(wasm_f64x2_splat(x)), 0); }
INLINE int32_t whole(double x) { return __builtin_wasm_trunc_saturate_s_i32_f64(x); }

INLINE double from_bits(int64_t bits) {
  union { int64_t i; double d; } u = {.i = bits};
  return u.d;
}

INLINE int64_t to_bits(double x) {
  union { double d; int64_t i; } u = {.d = x};
  return u.i;
}

// 4.1: 2^(n / 64) by a table times a polynomial of the rest
double exp64(double x) {
  x = x > 709.0 ? 709.0 : x < -708.0 ? -708.0 : x;
  double n = __builtin_rint(x * EXP_SCALE);
  double r = (x - n * EXP_HIGH) - n * EXP_LOW;
  double p = EXP_POLY[4];
  for (int i = 3; i >= 0; i--) p = p * r + EXP_POLY[i];
  p = r + r * r * p;
  int32_t whole_n = whole(n), j = whole_n & 63;
  double power = from_bits((int64_t)((whole_n >> 6) + 1023) << 52);
  return (EXP_TABLE[j] + (EXP_REST[j] + EXP_TABLE[j] * p)) * power;
}

// 4.2
double expm1_64(double x) {
  if (absolute(x) < 0.35) {
    double p = EXPM1_POLY[12];
    for (int i = 11; i >= 0; i--) p = p * x + EXPM1_POLY[i];
    return x == 0.0 ? x : x + x * x * p;
  }
  return exp64(x) - 1.0;
}

// 4.3: log((1 + f) 2^k)
static double log_near(double f, double k) {
  double s = f / (2.0 + f), z = s * s, h = 0.5 * f * f;
  double p = LOG_POLY[9];
  for (int i = 8; i >= 0; i--) p = p * z + LOG_POLY[i];
  return k * LN2_HIGH + (f - (h - (s * (h + z * p) + k * LN2_LOW)));
}

double log64(double x) {
  if (x <= 0.0) return x == 0.0 ? -__builtin_inf() : __builtin_nan("");
  if (!(x < __builtin_inf())) return x;
  int64_t over = to_bits(x) - LOG_BASE;
  double k = (double)(int32_t)(over >> 52);
  return log_near(from_bits((over & 0xfffffffffffff) + LOG_BASE) - 1.0, k);
}

// 4.4
double log1p_64(double x) {
  if (x == 0.0) return x;
  return x > -0.29 && x < 0.41 ? log_near(x, 0.0) : log64(1.0 + x);
}

// 4.5 to 4.7
double tanh64(double x) {
  double a = absolute(x), e = expm1_64(a > 22.0 ? 44.0 : 2.0 * a), t = e / (e + 2.0);
  return x < 0.0 ? -t : x == 0.0 ? x : t;
}

double sigmoid64(double x) {
  double e = exp64(-absolute(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

double softplus64(double x) {
  double y = (x > 0.0 ? x : 0.0) + log1p_64(exp64(-absolute(x)));
  return x == x ? y : x;
}

// 4.8: a series near 0, then Taylor polynomials around the middles of eighths
double erf64(double x) {
  double a = absolute(x);
  if (a < 0.5) {
    double z = x * x, p = ERF_NEAR[12];
    for (int i = 11; i >= 0; i--) p = p * z + ERF_NEAR[i];
    return x * p;
  }
  if (!(a < 4.0)) return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x;
  int32_t piece = whole(a * 8.0);
  double t = a - ((double)piece + 0.5) * 0.125;
  const double *c = ERF_PIECES[piece - 4];
  double p = c[11];
  for (int i = 10; i >= 0; i--) p = p * t + c[i];
  return x < 0.0 ? -p : p;
}

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

double sin64(double x) { return x == 0.0 ? x : turned(x, 0); }
double cos64(double x) { return turned(x, 1); }

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
