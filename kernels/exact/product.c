// Sums of products: matrices, convolutions of every kind. spec.md, section 5. Their rows are computed in multiply.c.
#include "multiply.h"

int64_t packed_words(int32_t depth, int32_t columns) {
  return (int64_t)((columns + WIDTH - 1) / WIDTH) * WIDTH * depth;
}

// Columns `column` to `column + columns` of a matrix with rows of `row` words, as panels of WIDTH, zeros at the end.
void pack(const float *matrix, int32_t depth, int32_t row, int32_t column, int32_t columns, float *packed) {
  for (int32_t from = 0; from < columns; from += WIDTH)
    for (int32_t k = 0; k < depth; k++, packed += WIDTH) {
      const float *source = matrix + (int64_t)k * row + column + from;
      if (columns - from >= WIDTH) {
        wasm_v128_store(packed, wasm_v128_load(source));
        wasm_v128_store(packed + 4, wasm_v128_load(source + 4));
      } else {
        for (int32_t j = 0; j < WIDTH; j++) packed[j] = from + j < columns ? source[j] : 0.0f;
      }
    }
}

// The constant at `address` in panels. Where `instead` and all panels are full, they take its place.
int32_t packed_address(int32_t address, int32_t depth, int32_t columns, int32_t groups, int instead) {
  int64_t each = packed_words(depth, columns), all = each * groups;
  int32_t before = mark(), other = all > 2 * (int64_t)LARGEST ? 0 : room(4 * all);
  if (!other) return 0;
  int32_t from = address, to = other;
  if (instead && columns % WIDTH == 0) {
    __builtin_memcpy(words(other), words(address), (__SIZE_TYPE__)all * 4);
    from = other;
    to = address;
    release(before);
  }
  for (int32_t group = 0; group < groups; group++)
    pack(words(from), depth, columns * groups, group * columns, columns, words(to) + group * each);
  return to;
}

// fact: depth, columns of a group, groups. A unit is one group.
void run_pack(const Call *call, int32_t begin, int32_t end) {
  int32_t depth = call->fact[0], columns = call->fact[1], row = columns * call->fact[2];
  for (int32_t group = begin; group < end; group++)
    pack(words(call->in[0]), depth, row, group * columns, columns,
         words(call->out) + group * packed_words(depth, columns));
}

// fact: rows, depth, columns, whether b is packed, tiles a matrix. A unit is one tile of one matrix.
void run_product(const Call *call, int32_t begin, int32_t end) {
  int32_t m = call->fact[0], depth = call->fact[1], columns = call->fact[2], tiles = call->fact[4], packed_from = -1;
  const float *at[TILE];
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t matrix = unit / tiles, rest = matrix, from_a = 0, from_b = 0, first = unit % tiles * call->tile;
    for (int32_t axis = call->rank - 1; axis >= 0; axis--) {
      from_a += rest % call->size[axis] * call->step[0][axis];
      from_b += rest % call->size[axis] * call->step[1][axis];
      rest /= call->size[axis];
    }
    const float *b = words(call->in[1]);
    if (!call->fact[3]) {
      float *own = words(call->scratch) + spread_words(depth);
      if (packed_from != from_b) pack(b + from_b, depth, columns, 0, columns, own);
      packed_from = from_b;
      b = own;
    }
    int32_t count = smaller(call->tile, m - first);
    for (int32_t r = 0; r < count; r++) at[r] = words(call->in[0]) + from_a + (int64_t)(first + r) * depth;
    Rows rows = {at, 0, 1, depth, 1, words(call->scratch)};
    float *out = words(call->out) + ((int64_t)matrix * m + first) * columns;
    Target target = {b, call->in[2] ? words(call->in[2]) : 0, out, columns, columns};
    multiply(&rows, &target, count);
  }
}

// The address of what a tap meets at input position `d, h, w` of example `n`, or `outside`.
INLINE const float *met(const Windows *g, const float *x, const float *outside, int32_t n, int32_t d, int32_t h,
                        int32_t w) {
  int inside = (uint32_t)d < (uint32_t)g->in[0] && (uint32_t)h < (uint32_t)g->in[1] && (uint32_t)w < (uint32_t)g->in[2];
  return inside ? x + (((int64_t)n * g->in[0] + d) * g->in[1] + h) * g->in[2] * g->channels + (int64_t)w * g->channels
                : outside;
}

// The addresses of all taps of output position `p`, `pitch` apart.
static void addresses(const Windows *g, const float *x, const float *outside, int32_t p, const float **at,
                      int32_t pitch) {
  int32_t w = p % g->out[2] * g->stride[2] - g->low[2];
  p /= g->out[2];
  int32_t h = p % g->out[1] * g->stride[1] - g->low[1];
  p /= g->out[1];
  int32_t d = p % g->out[0] * g->stride[0] - g->low[0], n = p / g->out[0];
  for (int32_t i = 0; i < g->tap[0]; i++)
    for (int32_t j = 0; j < g->tap[1]; j++)
      for (int32_t k = 0; k < g->tap[2]; k++, at += pitch)
        *at = met(g, x, outside, n, d + i * g->dilation[0], h + j * g->dilation[1], w + k * g->dilation[2]);
}

// The scratch of a convolution: room for what is spread, a row of zeros, the places of the taps, the addresses.
typedef struct {
  float *zeros;
  int32_t *order;
  const float **at;
  float *spread;
} Scratch;

static Scratch scratch_of(const Call *call, const Windows *g, int32_t taps) {
  float *spread = words(call->scratch), *zeros = spread + spread_words((int64_t)taps * g->channels);
  int32_t *order = (int32_t *)(zeros + g->channels);
  for (int32_t i = 0; i < g->channels; i++) zeros[i] = 0;
  return (Scratch){zeros, order, (const float **)(order + taps), spread};
}

// A unit is a tile of output positions.
void run_windows(const Call *call, int32_t begin, int32_t end) {
  const Windows *g = (const Windows *)call->fact;
  int32_t taps = g->tap[0] * g->tap[1] * g->tap[2], depth = g->channels / g->groups, filters = g->filters / g->groups;
  Scratch s = scratch_of(call, g, taps);
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t first = unit * call->tile, count = smaller(call->tile, g->count - first);
    for (int32_t r = 0; r < count; r++) addresses(g, words(call->in[0]), s.zeros, first + r, s.at + r, TILE);
    Rows rows = {s.at, 0, taps, depth, taps, s.spread};
    for (int32_t group = 0; group < g->groups; group++) {
      Target target = {words(call->in[1]) + group * packed_words(taps * depth, filters),
                       call->in[2] ? words(call->in[2]) + group * filters : 0,
                       words(call->out) + (int64_t)first * g->filters + group * filters, g->filters, filters};
      multiply(&rows, &target, count);
      for (int32_t i = 0; i < taps * TILE && group + 1 < g->groups; i++)
        if (i % TILE < count) s.at[i] += depth;
    }
  }
}

// One kernel a channel. A unit is a strip of output positions.
void run_depthwise(const Call *call, int32_t begin, int32_t end) {
  const Windows *g = (const Windows *)call->fact;
  int32_t taps = g->tap[0] * g->tap[1] * g->tap[2], channels = g->channels;
  const float *kernel = words(call->in[1]), *bias = call->in[2] ? words(call->in[2]) : 0;
  Scratch s = scratch_of(call, g, taps);
  for (int32_t unit = begin * STRIP; unit < smaller(end * STRIP, g->count); unit++) {
    addresses(g, words(call->in[0]), s.zeros, unit, s.at, 1);
    float *out = words(call->out) + (int64_t)unit * channels;
    int32_t c = 0;
    for (; c + 8 <= channels; c += 8) {
      v128_t a = bias ? wasm_v128_load(bias + c) : wasm_f32x4_splat(0);
      v128_t b = bias ? wasm_v128_load(bias + c + 4) : wasm_f32x4_splat(0);
      const float *k = kernel + c;
      for (int32_t t = 0; t < taps; t++, k += channels) {
        a = wasm_f32x4_add(a, wasm_f32x4_mul(wasm_v128_load(s.at[t] + c), wasm_v128_load(k)));
        b = wasm_f32x4_add(b, wasm_f32x4_mul(wasm_v128_load(s.at[t] + c + 4), wasm_v128_load(k + 4)));
      }
      wasm_v128_store(out + c, a);
      wasm_v128_store(out + c + 4, b);
    }
    for (; c < channels; c++) {
      float sum = bias ? bias[c] : 0.0f;
      for (int32_t t = 0; t < taps; t++) sum += s.at[t][c] * kernel[(int64_t)t * channels + c];
      out[c] = sum;
    }
  }
}

// Whether a tap reaches output place `at` of an axis, and from which input place.
INLINE int reaches(int32_t at, int32_t tap, const Windows *g, int axis, int32_t *from) {
  int32_t place = at + g->low[axis] - tap * g->dilation[axis], stride = g->stride[axis];
  int32_t whole = place >= 0 ? place / stride : -((stride - 1 - place) / stride);
  *from = whole;
  return place - whole * stride == 0;
}

// Transposed convolution. A unit is one row of the output; its places with the same taps are computed together.
void run_transposed(const Call *call, int32_t begin, int32_t end) {
  const Windows *g = (const Windows *)call->fact;
  int32_t taps = g->tap[0] * g->tap[1] * g->tap[2], stride = g->stride[2];
  Scratch s = scratch_of(call, g, taps);
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t h = unit % g->out[1], d = unit / g->out[1] % g->out[0], n = unit / g->out[1] / g->out[0];
    for (int32_t start = 0; start < smaller(stride, g->out[2]); start++)
      for (int32_t first = start; first < g->out[2]; first += stride * TILE) {
        int32_t count = smaller(TILE, (g->out[2] - first + stride - 1) / stride), used = 0, from[3];
        for (int32_t t = 0; t < taps; t++) {
          int32_t k = t % g->tap[2], j = t / g->tap[2] % g->tap[1], i = t / g->tap[2] / g->tap[1];
          if (!reaches(d, i, g, 0, from) || !reaches(h, j, g, 1, from + 1) || !reaches(first, k, g, 2, from + 2))
            continue;
          for (int32_t r = 0; r < count; r++)
            s.at[used * TILE + r] = met(g, words(call->in[0]), s.zeros, n, from[0], from[1], from[2] + r);
          s.order[used++] = t;
        }
        Rows rows = {s.at, s.order, used, g->channels, taps, s.spread};
        float *out = words(call->out) + ((int64_t)unit * g->out[2] + first) * g->filters;
        Target target = {words(call->in[1]), call->in[2] ? words(call->in[2]) : 0, out, stride * g->filters,
                         g->filters};
        multiply(&rows, &target, count);
      }
  }
}
