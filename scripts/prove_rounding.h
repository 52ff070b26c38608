// What the two steps of prove_rounding.py have in common.
#pragma once
#include <stdint.h>

#include "constants.h"

enum { COS, ERF, EXP, EXPM1, LOG, LOG1P, RSQRT, SIGMOID, SIN, SOFTPLUS, TANH };
enum { RIGHT, WRONG, DOUBTFUL };

#define NO_NUMBER 0x7fc00000u  // the bits of the only NaN

static inline double magnitude(double x) { return x < 0 ? -x : x; }

static inline uint32_t bits_of(float x) {
  union { float f; uint32_t i; } u = {.f = x};
  return u.i;
}

static inline float float_of(uint32_t bits) {
  union { uint32_t i; float f; } u = {.i = bits};
  return u.f;
}
