// Sums of products: matrices, convolutions of every kind. spec.md, section 5.
//
// Every output has one accumulator, which starts at the bias and takes the products in ascending order, each rounded,
// each sum rounded. Only outputs are computed side by side; an accumulator that is put into the output and taken up
// again, when the products come by stretches that fit the cache, is the same float32.
#include "exact.h"

enum { STRETCH = 512 };  // products taken up at once

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

// What the rows of a tile are made of: for each tap, one address a row, and where its part of the matrix begins.
typedef struct {
  const float *const *at;  // [tap * pitch + row]
  const int32_t *order;    // place of each tap in the matrix
  int32_t pitch, taps, depth, all_taps;
} Rows;

typedef struct {
  const float *packed, *bias;
  float *out;
  int32_t row, columns;  // words from one row of the output to the next; how many it has
} Target;

INLINE v128_t some(const float *p, int32_t count) {
  float four[4] = {0, 0, 0, 0};
  for (int32_t i = 0; i < smaller(count, 4); i++) four[i] = p[i];
  return wasm_v128_load(four);
}

INLINE void put(float *p, v128_t v, int32_t count) {
  float four[4];
  wasm_v128_store(four, v);
  for (int32_t i = 0; i < smaller(count, 4); i++) p[i] = four[i];
}

// One product of each accumulator; `x` holds a row's number in all lanes.
INLINE void step(const int R, const int P, const v128_t *x, const float *const *b, uint32_t from, v128_t acc[8][2]) {
  for (int p = 0; p < P; p++) {
    v128_t b0 = wasm_v128_load(b[p] + from), b1 = wasm_v128_load(b[p] + from + 4u);
    for (int q = 0; q < R; q++) {
      acc[q * P + p][0] = wasm_f32x4_add(acc[q * P + p][0], wasm_f32x4_mul(x[q], b0));
      acc[q * P + p][1] = wasm_f32x4_add(acc[q * P + p][1], wasm_f32x4_mul(x[q], b1));
    }
  }
}

// Two products, one after the other: more at once need more registers than there are.
INLINE void two_steps(const int R, const int P, const float *const *a, const float *const *b, v128_t acc[8][2]) {
  v128_t first[4], second[4];
  for (int q = 0; q < R; q++) {
    v128_t two = wasm_v128_load64_zero(a[q]);
    first[q] = wasm_i32x4_shuffle(two, two, 0, 0, 0, 0);
    second[q] = wasm_i32x4_shuffle(two, two, 1, 1, 1, 1);
  }
  step(R, P, first, b, 0, acc);
  step(R, P, second, b, WIDTH, acc);
}

// R rows by P panels of outputs: taps `first` to `last`, elements `from` to `to` of each.
INLINE void tile(const int R, const int P, const Rows *rows, const Target *target, int32_t r, int32_t panel,
                 int32_t first, int32_t last, int32_t from, int32_t to, int begins) {
  v128_t acc[8][2];
  int32_t length = rows->all_taps * rows->depth, column = panel * WIDTH;
  for (int q = 0; q < R; q++)
    for (int p = 0; p < P; p++) {
      int32_t at = column + p * WIDTH, left = target->columns - at;
      const float *start = begins ? target->bias + at : target->out + (int64_t)(r + q) * target->row + at;
      if (begins && !target->bias) {
        acc[q * P + p][0] = acc[q * P + p][1] = wasm_f32x4_splat(0);
      } else if (left >= WIDTH) {
        acc[q * P + p][0] = wasm_v128_load(start);
        acc[q * P + p][1] = wasm_v128_load(start + 4);
      } else {
        acc[q * P + p][0] = some(start, left);
        acc[q * P + p][1] = some(start + 4, left - 4);
      }
    }
  for (int32_t t = first; t < last; t++) {
    const float *a[4];
    for (int q = 0; q < R; q++) a[q] = rows->at[t * rows->pitch + r + q];
    const float *b = target->packed + ((int64_t)panel * length + (int64_t)rows->order[t] * rows->depth + from) * WIDTH;
    const float *panel_at[4];
    for (int p = 0; p < P; p++) panel_at[p] = b + (int64_t)p * length * WIDTH;
    for (int q = 0; q < R; q++) a[q] += from;
    int32_t left = to - from;
    for (; left >= 2; left -= 2) {
      two_steps(R, P, a, panel_at, acc);
      for (int q = 0; q < R; q++) a[q] += 2;
      for (int p = 0; p < P; p++) panel_at[p] += 2 * WIDTH;
    }
    if (left) {
      v128_t one[4];
      for (int q = 0; q < R; q++) one[q] = wasm_v128_load32_splat(a[q]);
      step(R, P, one, panel_at, 0, acc);
    }
  }
  for (int q = 0; q < R; q++)
    for (int p = 0; p < P; p++) {
      int32_t at = column + p * WIDTH, left = target->columns - at;
      float *out = target->out + (int64_t)(r + q) * target->row + at;
      if (left >= WIDTH) {
        wasm_v128_store(out, acc[q * P + p][0]);
        wasm_v128_store(out + 4, acc[q * P + p][1]);
      } else {
        put(out, acc[q * P + p][0], left);
        put(out + 4, acc[q * P + p][1], left - 4);
      }
    }
}

static __attribute__((noinline)) void tile_4x1(const Rows *rows, const Target *target, int32_t r, int32_t panel,
                                               int32_t first, int32_t last, int32_t from, int32_t to, int begins) {
  tile(4, 1, rows, target, r, panel, first, last, from, to, begins);
}

static __attribute__((noinline)) void tile_1x4(const Rows *rows, const Target *target, int32_t r, int32_t panel,
                                               int32_t first, int32_t last, int32_t from, int32_t to, int begins) {
  tile(1, 4, rows, target, r, panel, first, last, from, to, begins);
}

static __attribute__((noinline)) void tile_1x1(const Rows *rows, const Target *target, int32_t r, int32_t panel,
                                               int32_t first, int32_t last, int32_t from, int32_t to, int begins) {
  tile(1, 1, rows, target, r, panel, first, last, from, to, begins);
}

static void stretch(const Rows *rows, const Target *target, int32_t count, int32_t first, int32_t last, int32_t from,
                    int32_t to, int begins) {
  int32_t panels = (target->columns + WIDTH - 1) / WIDTH, whole = count & ~3;
  for (int32_t panel = 0; panel < panels && whole; panel++)
    for (int32_t r = 0; r < whole; r += 4) tile_4x1(rows, target, r, panel, first, last, from, to, begins);
  for (int32_t r = whole; r < count; r++) {
    int32_t panel = 0;
    for (; panel + 4 <= panels; panel += 4) tile_1x4(rows, target, r, panel, first, last, from, to, begins);
    for (; panel < panels; panel++) tile_1x1(rows, target, r, panel, first, last, from, to, begins);
  }
}

static void multiply(const Rows *rows, const Target *target, int32_t count) {
  int begins = 1;
  if (rows->depth >= STRETCH) {
    for (int32_t t = 0; t < rows->taps; t++)
      for (int32_t from = 0; from < rows->depth; from += STRETCH, begins = 0)
        stretch(rows, target, count, t, t + 1, from, smaller(from + STRETCH, rows->depth), begins);
  } else {
    int32_t together = STRETCH / larger(rows->depth, 1);
    for (int32_t t = 0; t < rows->taps; t += together, begins = 0)
      stretch(rows, target, count, t, smaller(t + together, rows->taps), 0, rows->depth, begins);
  }
  if (begins) stretch(rows, target, count, 0, 0, 0, 0, 1);
}

// fact: rows, depth, columns, whether b is packed, tiles a matrix. A unit is one tile of one matrix.
void run_product(const Call *call, int32_t begin, int32_t end) {
  int32_t m = call->fact[0], depth = call->fact[1], columns = call->fact[2], tiles = call->fact[4], packed_from = -1;
  const float *at[TILE];
  const int32_t order[1] = {0};
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t matrix = unit / tiles, rest = matrix, from_a = 0, from_b = 0, first = unit % tiles * call->tile;
    for (int32_t axis = call->rank - 1; axis >= 0; axis--) {
      from_a += rest % call->size[axis] * call->step[0][axis];
      from_b += rest % call->size[axis] * call->step[1][axis];
      rest /= call->size[axis];
    }
    const float *b = words(call->in[1]);
    if (!call->fact[3]) {
      if (packed_from != from_b) pack(b + from_b, depth, columns, 0, columns, words(call->scratch));
      packed_from = from_b;
      b = words(call->scratch);
    }
    int32_t count = smaller(call->tile, m - first);
    for (int32_t r = 0; r < count; r++) at[r] = words(call->in[0]) + from_a + (int64_t)(first + r) * depth;
    Rows rows = {at, order, TILE, 1, depth, 1};
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

// The scratch of a convolution: a row of zeros, the places of the taps, the addresses.
typedef struct {
  float *zeros;
  int32_t *order;
  const float **at;
} Scratch;

static Scratch scratch_of(const Call *call, const Windows *g, int32_t taps) {
  float *zeros = words(call->scratch);
  int32_t *order = integers(call->scratch) + g->channels;
  for (int32_t i = 0; i < g->channels; i++) zeros[i] = 0;
  for (int32_t t = 0; t < taps; t++) order[t] = t;
  return (Scratch){zeros, order, (const float **)(order + taps)};
}

// A unit is a tile of output positions.
void run_windows(const Call *call, int32_t begin, int32_t end) {
  const Windows *g = (const Windows *)call->fact;
  int32_t taps = g->tap[0] * g->tap[1] * g->tap[2], depth = g->channels / g->groups, filters = g->filters / g->groups;
  Scratch s = scratch_of(call, g, taps);
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t first = unit * call->tile, count = smaller(call->tile, g->count - first);
    for (int32_t r = 0; r < count; r++) addresses(g, words(call->in[0]), s.zeros, first + r, s.at + r, TILE);
    Rows rows = {s.at, s.order, TILE, taps, depth, taps};
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
        Rows rows = {s.at, s.order, TILE, used, g->channels, taps};
        float *out = words(call->out) + ((int64_t)unit * g->out[2] + first) * g->filters;
        Target target = {words(call->in[1]), call->in[2] ? words(call->in[2]) : 0, out, stride * g->filters,
                         g->filters};
        multiply(&rows, &target, count);
      }
  }
}
