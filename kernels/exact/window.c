// Pooling and resizing. spec.md, sections 6 and 7.
#include "exact.h"

static void largest(const float *const *at, int32_t taps, int32_t channels, float *out, int whole) {
  for (int32_t c = 0; c < channels; c++) {
    if (whole) {
      int32_t found = INT32_MIN;
      for (int32_t t = 0; t < taps; t++) found = larger(found, ((const int32_t *)at[t])[c]);
      ((int32_t *)out)[c] = found;
      continue;
    }
    if (c + 4 <= channels) {
      v128_t found = wasm_f32x4_splat(-__builtin_inff());
      for (int32_t t = 0; t < taps; t++) {
        v128_t x = wasm_v128_load(at[t] + c);
        found = wasm_v128_bitselect(x, wasm_f32x4_pmax(found, x), wasm_f32x4_ne(x, x));
      }
      wasm_v128_store(out + c, found);
      c += 3;
      continue;
    }
    float found = -__builtin_inff();
    for (int32_t t = 0; t < taps; t++) found = at[t][c] != at[t][c] || found < at[t][c] ? at[t][c] : found;
    out[c] = found;
  }
}

static void mean(const float *const *at, int32_t taps, int32_t channels, float *out) {
  for (int32_t c = 0; c < channels; c++) {
    double sum = 0;
    for (int32_t t = 0; t < taps; t++) sum += (double)at[t][c];
    out[c] = (float)(sum / (double)taps);
  }
}

// A unit is one output position; places outside the input are left out.
void run_pool(const Call *call, int32_t begin, int32_t end) {
  const Windows *g = (const Windows *)call->fact;
  const float **at = (const float **)words(call->scratch), *x = words(call->in[0]);
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t p = unit, start[3], taps = 0;
    for (int axis = 2; axis >= 0; axis--) {
      start[axis] = p % g->out[axis] * g->stride[axis] - g->low[axis];
      p /= g->out[axis];
    }
    for (int32_t d = larger(start[0], 0); d < smaller(start[0] + g->tap[0], g->in[0]); d++)
      for (int32_t h = larger(start[1], 0); h < smaller(start[1] + g->tap[1], g->in[1]); h++)
        for (int32_t w = larger(start[2], 0); w < smaller(start[2] + g->tap[2], g->in[2]); w++)
          at[taps++] = x + ((((int64_t)p * g->in[0] + d) * g->in[1] + h) * g->in[2] + w) * g->channels;
    float *out = words(call->out) + (int64_t)unit * g->channels;
    if (call->sub == POOL_MAX)
      largest(at, taps, g->channels, out, call->dtype != FLOAT32);
    else
      mean(at, taps, g->channels, out);
  }
}

// One axis; fact: its size, the size wanted, words an element. A unit is one element of the result's axis.
void run_resize(const Call *call, int32_t begin, int32_t end) {
  int32_t size = call->fact[0], wanted = call->fact[1], inner = call->fact[2];
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t i = unit % wanted;
    const float *x = words(call->in[0]) + (int64_t)(unit / wanted) * size * inner;
    float *out = words(call->out) + (int64_t)unit * inner;
    if (call->sub == RESIZE_NEAREST) {
      int64_t at = (2 * (int64_t)i + 1) * size / (2 * (int64_t)wanted);
      __builtin_memcpy(out, x + (at < size ? at : size - 1) * inner, (uint32_t)inner * 4);
      continue;
    }
    double place = ((double)i + 0.5) * (double)size / (double)wanted - 0.5, low = __builtin_floor(place);
    double weight = place - low;
    int32_t before = larger((int32_t)low, 0), after = smaller((int32_t)low + 1, size - 1);
    const float *a = x + (int64_t)smaller(before, size - 1) * inner, *b = x + (int64_t)after * inner;
    for (int32_t k = 0; k < inner; k++) out[k] = (float)((double)a[k] * (1.0 - weight) + (double)b[k] * weight);
  }
}
