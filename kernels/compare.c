// One fused pass over pairs of float32 values: every figure of a comparison that needs each element.
//
// The host copies up to CHUNK pairs into `reference` and `candidate`, calls `feed`, and at the end reads `state`,
// `counts` and `large`. Meaning of each figure: src/bittrue/comparison/totals.py. Rules kept here:
//
// - Differences are taken in float64, where the difference of two float32 values is exact or correctly rounded.
// - A sum is kept by block of BLOCK elements (`sums`), so that it does not depend on how the host divides the work;
//   within a block it is taken by strips of STRIP elements, which bounds the relative error of a sum of
//   non-negative terms by (STRIP / 2 + BLOCK / STRIP + 8) * 2^-53 < 7e-14.
// - ULP distances are exact: -0 and +0 are 0 apart. Those below TABLE are counted one by one in `table`, one column
//   a SIMD lane so that equal distances do not wait for each other; `collapse` adds the columns up in `counts`. Larger
//   ones are counted in `large`, TABLE of them together.
// - Where something stands first (row-major) is looked up only after a block has raised the maximum.
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 65536, BLOCKS = 4, CHUNK = BLOCK * BLOCKS, STRIP = 1024, TABLE = 65536, LANES = 4 };
enum { MAGNITUDE = 0x7fffffff, LARGEST_FINITE = 0x7f7fffff, INFINITE = 0x7f800000 };

typedef struct {
  uint64_t different_values, different_bits, finite, nan_both, nan_mismatched, infinities_matched,
      infinities_mismatched, zero_signs_mismatched, nan_payloads_different, ulp_sum;
  int64_t first_nan_mismatched, first_infinity_mismatched, first_zero_sign, first_nan_payload, worst, worst_ulp;
  double max_abs, max_rel;
  uint32_t scale_bits, max_ulp;
} State;

typedef struct {
  double absolute, relative, squared_error, squared_reference, squared_candidate, product;
} Sums;

typedef struct {
  double max_abs, max_rel;
  uint32_t scale_bits, max_ulp;
  uint64_t zero_signs;
} Peaks;  // of one block

typedef struct {
  v128_t absolute, relative, squared_error, squared_reference, squared_candidate, product, max_abs, max_rel;
  v128_t different_values, different_bits, scale_bits, max_ulp, large_ulp_sum;
} Lanes;  // of one strip

// What the host wants next; here, because handing over arguments costs the host more than writing them.
typedef struct {
  int64_t base;         // the chunk's first pair is the tensor's element `base`
  uint32_t size;        // pairs in the chunk
  uint32_t low, shift;  // of `refine`
  uint32_t first, last; // whether the chunk begins a new pair of tensors, and whether nothing more of it will come
} Task;

static Task task;
static uint32_t reference[CHUNK], candidate[CHUNK], table[TABLE * LANES], counts[TABLE], large[TABLE];
static uint64_t bins[1 + 32];  // distances that are 0, 1, 2-3, 4-7, …
static uint32_t table_used, large_used;  // rows that may be other than zero
static State state;
static Sums sums[BLOCKS];
static Peaks peaks;

EXPORT(reference_address) void *reference_address(void) { return reference; }
EXPORT(candidate_address) void *candidate_address(void) { return candidate; }
EXPORT(counts_address) void *counts_address(void) { return counts; }
EXPORT(large_address) void *large_address(void) { return large; }
EXPORT(state_address) void *state_address(void) { return &state; }
EXPORT(sums_address) void *sums_address(void) { return sums; }
EXPORT(bins_address) void *bins_address(void) { return bins; }
EXPORT(task_address) void *task_address(void) { return &task; }
EXPORT(task_size) int32_t task_size(void) { return sizeof task; }
EXPORT(state_size) int32_t state_size(void) { return sizeof state; }
EXPORT(block_size) int32_t block_size(void) { return BLOCK; }
EXPORT(chunk_size) int32_t chunk_size(void) { return CHUNK; }

INLINE v128_t high_half(v128_t x) { return wasm_i32x4_shuffle(x, x, 2, 3, 2, 3); }

static void clear_table(void) {
  for (uint32_t i = 0; i < table_used * LANES; i++) table[i] = 0;
  table_used = 0;
}

static uint64_t by_power(const uint32_t *of, uint32_t power, uint32_t used) {
  uint32_t end = 2u << power < used ? 2u << power : used;
  uint64_t sum = 0;
  for (uint32_t i = 1u << power; i < end; i++) sum += of[i];
  return sum;
}

// Row `i` of the table: its columns' sum into `counts`, and zeros in its place.
INLINE uint64_t collapse_row(uint32_t i) {
  v128_t row = wasm_v128_load(table + i * LANES);
  row = wasm_i32x4_add(row, high_half(row));
  counts[i] = wasm_u32x4_extract_lane(row, 0) + wasm_u32x4_extract_lane(row, 1);
  wasm_v128_store(table + i * LANES, wasm_i32x4_const_splat(0));
  return (uint64_t)counts[i] * i;
}

// The number of each distance in `counts` and by powers in `bins`, and the sum of those below TABLE. The table is
// empty again.
static uint64_t collapse(void) {
  const uint32_t used = table_used;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < used; i += 4) {  // TABLE is a multiple of 4; far out most rows are empty
    const uint32_t *rows = table + i * LANES;
    v128_t any = wasm_v128_or(wasm_v128_or(wasm_v128_load(rows), wasm_v128_load(rows + 4)),
                              wasm_v128_or(wasm_v128_load(rows + 8), wasm_v128_load(rows + 12)));
    if (wasm_v128_any_true(any))
      for (uint32_t row = i; row < i + 4; row++) sum += collapse_row(row);
    else
      wasm_v128_store(counts + i, wasm_i32x4_const_splat(0));
  }
  table_used = 0;
  bins[0] = used ? counts[0] : 0;
  for (uint32_t power = 0; power < 16; power++) {
    bins[1 + power] = by_power(counts, power, used);
    bins[17 + power] = by_power(large, power, large_used);
  }
  return sum;
}

static void reset(void) {
  clear_table();
  for (uint32_t i = 0; i < large_used; i++) large[i] = 0;
  large_used = 0;
  state = (State){0};
  state.first_nan_mismatched = state.first_infinity_mismatched = state.first_zero_sign = -1;
  state.first_nan_payload = state.worst = state.worst_ulp = -1;
}

INLINE double value(uint32_t bits) {
  union { uint32_t bits; float value; } pun = {bits};
  return (double)pun.value;
}

INLINE int is_nan(uint32_t bits) { return (bits & MAGNITUDE) > INFINITE; }
INLINE int is_finite(uint32_t bits) { return (bits & MAGNITUDE) < INFINITE; }
INLINE double distance(uint32_t a, uint32_t b) { return __builtin_fabs(value(b) - value(a)); }

INLINE int32_t ordinal(uint32_t bits) {
  int32_t magnitude = (int32_t)(bits & MAGNITUDE);
  return bits >> 31 ? -magnitude : magnitude;
}

INLINE uint32_t ulp_distance(uint32_t a, uint32_t b) {
  int32_t x = ordinal(a), y = ordinal(b);
  return x > y ? (uint32_t)x - (uint32_t)y : (uint32_t)y - (uint32_t)x;
}

// Whether a distance is small may be as unpredictable as a coin: the place to count it is chosen without a branch.
INLINE void count_ulp(uint32_t ulp, uint32_t lane) {
  uint32_t *small = &table[(ulp & (TABLE - 1)) * LANES + lane];
  ++*(ulp < TABLE ? small : &large[ulp / TABLE]);
}

static void note_first(int64_t *first, int64_t index) {
  if (*first < 0) *first = index;
}

static void finite_pair(uint32_t a, uint32_t b, Sums *sum) {
  double r = value(a), c = value(b), difference = distance(a, b);
  double relative = difference == 0 ? 0 : difference / __builtin_fabs(r);
  uint32_t ulp = ulp_distance(a, b);
  state.finite++;
  sum->absolute += difference;
  sum->relative += relative;
  sum->squared_error += difference * difference;
  sum->squared_reference += r * r;
  sum->squared_candidate += c * c;
  sum->product += r * c;
  if (difference > peaks.max_abs) peaks.max_abs = difference;
  if (relative > peaks.max_rel) peaks.max_rel = relative;
  if (ulp > peaks.max_ulp) peaks.max_ulp = ulp;
  if (a != b && r == c) peaks.zero_signs++;
  if (ulp >= TABLE) state.ulp_sum += ulp;
  count_ulp(ulp, 0);
}

static void special_pair(uint32_t a, uint32_t b, int64_t index) {
  if (is_nan(a) && is_nan(b)) {
    state.nan_both++;
    if (a == b) return;
    state.nan_payloads_different++;
    note_first(&state.first_nan_payload, index);
  } else if (is_nan(a) || is_nan(b)) {
    state.nan_mismatched++;
    note_first(&state.first_nan_mismatched, index);
  } else if (a == b) {
    state.infinities_matched++;
  } else {
    state.infinities_mismatched++;
    note_first(&state.first_infinity_mismatched, index);
  }
}

// Any pair, one at a time: tails, and groups in which something is not finite.
static __attribute__((noinline)) void single(uint32_t i, int64_t index, Sums *sum) {
  uint32_t a = reference[i], b = candidate[i];
  state.different_bits += a != b;
  state.different_values += value(a) != value(b);
  if (is_finite(a) && (a & MAGNITUDE) > peaks.scale_bits) peaks.scale_bits = a & MAGNITUDE;
  if (is_finite(a) && is_finite(b)) finite_pair(a, b, sum);
  else special_pair(a, b, index);
}

INLINE void half_group(v128_t a, v128_t b, Lanes *lanes) {
  v128_t r = wasm_f64x2_promote_low_f32x4(a), c = wasm_f64x2_promote_low_f32x4(b);
  v128_t difference = wasm_f64x2_abs(wasm_f64x2_sub(c, r));
  v128_t differs = wasm_f64x2_ne(difference, wasm_f64x2_const_splat(0));
  v128_t relative = wasm_v128_and(wasm_f64x2_div(difference, wasm_f64x2_abs(r)), differs);  // 0/0 counts as 0
  lanes->absolute = wasm_f64x2_add(lanes->absolute, difference);
  lanes->relative = wasm_f64x2_add(lanes->relative, relative);
  lanes->squared_error = wasm_f64x2_add(lanes->squared_error, wasm_f64x2_mul(difference, difference));
  lanes->squared_reference = wasm_f64x2_add(lanes->squared_reference, wasm_f64x2_mul(r, r));
  lanes->squared_candidate = wasm_f64x2_add(lanes->squared_candidate, wasm_f64x2_mul(c, c));
  lanes->product = wasm_f64x2_add(lanes->product, wasm_f64x2_mul(r, c));
  lanes->max_abs = wasm_f64x2_pmax(lanes->max_abs, difference);
  lanes->max_rel = wasm_f64x2_pmax(lanes->max_rel, relative);
}

INLINE v128_t ordinals(v128_t bits, v128_t magnitude) {
  v128_t sign = wasm_i32x4_shr(bits, 31);
  return wasm_i32x4_sub(wasm_v128_xor(magnitude, sign), sign);
}

INLINE void count_ulps(v128_t ulp, Lanes *lanes) {
  if (wasm_v128_any_true(wasm_u32x4_shr(ulp, 16))) {
    v128_t larger = wasm_v128_and(ulp, wasm_u32x4_gt(ulp, wasm_u32x4_const_splat(TABLE - 1)));
    v128_t both = wasm_i64x2_add(wasm_u64x2_extend_low_u32x4(larger), wasm_u64x2_extend_high_u32x4(larger));
    lanes->large_ulp_sum = wasm_i64x2_add(lanes->large_ulp_sum, both);
    count_ulp(wasm_u32x4_extract_lane(ulp, 0), 0);
    count_ulp(wasm_u32x4_extract_lane(ulp, 1), 1);
    count_ulp(wasm_u32x4_extract_lane(ulp, 2), 2);
    count_ulp(wasm_u32x4_extract_lane(ulp, 3), 3);
    return;
  }
  table[wasm_u32x4_extract_lane(ulp, 0) * LANES]++;
  table[wasm_u32x4_extract_lane(ulp, 1) * LANES + 1]++;
  table[wasm_u32x4_extract_lane(ulp, 2) * LANES + 2]++;
  table[wasm_u32x4_extract_lane(ulp, 3) * LANES + 3]++;
}

INLINE v128_t ulp_distances(v128_t a, v128_t b, v128_t magnitude_a, v128_t magnitude_b) {
  v128_t x = ordinals(a, magnitude_a), y = ordinals(b, magnitude_b);
  return wasm_i32x4_sub(wasm_i32x4_max(x, y), wasm_i32x4_min(x, y));
}

// Four finite pairs.
INLINE void group(v128_t a, v128_t b, v128_t magnitude_a, v128_t magnitude_b, Lanes *lanes) {
  v128_t ulp = ulp_distances(a, b, magnitude_a, magnitude_b);
  lanes->different_values = wasm_i32x4_sub(lanes->different_values, wasm_f32x4_ne(a, b));
  lanes->different_bits = wasm_i32x4_sub(lanes->different_bits, wasm_i32x4_ne(a, b));
  lanes->scale_bits = wasm_i32x4_max(lanes->scale_bits, magnitude_a);
  lanes->max_ulp = wasm_u32x4_max(lanes->max_ulp, ulp);
  count_ulps(ulp, lanes);
  half_group(a, b, lanes);
  half_group(high_half(a), high_half(b), lanes);
}

INLINE double total(v128_t x) { return wasm_f64x2_extract_lane(x, 0) + wasm_f64x2_extract_lane(x, 1); }

INLINE uint32_t count(v128_t x) {
  return wasm_u32x4_extract_lane(x, 0) + wasm_u32x4_extract_lane(x, 1) + wasm_u32x4_extract_lane(x, 2) +
         wasm_u32x4_extract_lane(x, 3);
}

INLINE double larger(double x, v128_t y) {
  double a = wasm_f64x2_extract_lane(y, 0), b = wasm_f64x2_extract_lane(y, 1);
  double z = a > b ? a : b;
  return x > z ? x : z;
}

INLINE uint32_t larger_bits(uint32_t x, v128_t y) {
  v128_t z = wasm_u32x4_max(y, high_half(y));
  uint32_t a = wasm_u32x4_extract_lane(z, 0), b = wasm_u32x4_extract_lane(z, 1);
  uint32_t larger_of_two = a > b ? a : b;
  return x > larger_of_two ? x : larger_of_two;
}

static void merge(const Lanes *lanes, Sums *sum) {
  uint32_t values = count(lanes->different_values), bits = count(lanes->different_bits);
  state.different_values += values;
  state.different_bits += bits;
  peaks.zero_signs += bits - values;  // finite and equal with other bits: only zeros of different sign
  state.ulp_sum += wasm_u64x2_extract_lane(lanes->large_ulp_sum, 0);
  state.ulp_sum += wasm_u64x2_extract_lane(lanes->large_ulp_sum, 1);
  sum->absolute += total(lanes->absolute);
  sum->relative += total(lanes->relative);
  sum->squared_error += total(lanes->squared_error);
  sum->squared_reference += total(lanes->squared_reference);
  sum->squared_candidate += total(lanes->squared_candidate);
  sum->product += total(lanes->product);
  peaks.max_abs = larger(peaks.max_abs, lanes->max_abs);
  peaks.max_rel = larger(peaks.max_rel, lanes->max_rel);
  peaks.scale_bits = larger_bits(peaks.scale_bits, lanes->scale_bits);
  peaks.max_ulp = larger_bits(peaks.max_ulp, lanes->max_ulp);
}

// Elements [start, stop) of the chunk; the chunk's element 0 is the tensor's element `base`.
static void strip(uint32_t start, uint32_t stop, int64_t base, Sums *sum) {
  const v128_t magnitude = wasm_i32x4_const_splat(MAGNITUDE), finite = wasm_i32x4_const_splat(LARGEST_FINITE);
  Lanes lanes = {0};
  uint32_t i = start, groups = 0;
  for (; i + LANES <= stop; i += LANES) {
    v128_t a = wasm_v128_load(reference + i), b = wasm_v128_load(candidate + i);
    v128_t magnitude_a = wasm_v128_and(a, magnitude), magnitude_b = wasm_v128_and(b, magnitude);
    if (wasm_v128_any_true(wasm_i32x4_gt(wasm_i32x4_max(magnitude_a, magnitude_b), finite))) {
      for (uint32_t lane = 0; lane < LANES; lane++) single(i + lane, base + i + lane, sum);
    } else {
      group(a, b, magnitude_a, magnitude_b, &lanes);
      groups++;
    }
  }
  state.finite += groups * LANES;
  merge(&lanes, sum);
  for (; i < stop; i++) single(i, base + i, sum);
}

typedef int (*Found)(uint32_t a, uint32_t b);
static int has_max_abs(uint32_t a, uint32_t b) { return distance(a, b) == peaks.max_abs; }
static int has_max_ulp(uint32_t a, uint32_t b) { return ulp_distance(a, b) == peaks.max_ulp; }
static int has_zero_signs(uint32_t a, uint32_t b) { return a != b && value(a) == value(b); }

INLINE int64_t find(uint32_t start, uint32_t stop, int64_t base, Found found) {
  for (uint32_t i = start; i < stop; i++)
    if (is_finite(reference[i]) && is_finite(candidate[i]) && found(reference[i], candidate[i])) return base + i;
  return -1;
}

static void note_peaks(uint32_t start, uint32_t stop, int64_t base) {
  if (peaks.max_abs > state.max_abs) {
    state.max_abs = peaks.max_abs;
    state.worst = find(start, stop, base, has_max_abs);
  }
  if (peaks.max_ulp > state.max_ulp) {
    state.max_ulp = peaks.max_ulp;
    state.worst_ulp = find(start, stop, base, has_max_ulp);
  }
  if (peaks.zero_signs && state.first_zero_sign < 0) state.first_zero_sign = find(start, stop, base, has_zero_signs);
  if (peaks.max_rel > state.max_rel) state.max_rel = peaks.max_rel;
  if (peaks.scale_bits > state.scale_bits) state.scale_bits = peaks.scale_bits;
  state.zero_signs_mismatched += peaks.zero_signs;
  uint32_t used = (peaks.max_ulp < TABLE ? peaks.max_ulp : TABLE - 1) + 1;
  if (used > table_used) table_used = used;
  if (peaks.max_ulp / TABLE >= large_used) large_used = peaks.max_ulp / TABLE + 1;
}

static void block(uint32_t start, uint32_t stop, int64_t base, Sums *sum) {
  *sum = (Sums){0};
  peaks = (Peaks){0};
  for (uint32_t from = start; from < stop; from += STRIP)
    strip(from, from + STRIP < stop ? from + STRIP : stop, base, sum);
  note_peaks(start, stop, base);
}

// The chunk's pairs; sums by block in `sums`, and with the last chunk `counts`.
EXPORT(feed) void feed(void) {
  uint32_t row = 0, size = task.size;
  if (task.first) reset();
  for (uint32_t start = 0; start < size; start += BLOCK)
    block(start, start + BLOCK < size ? start + BLOCK : size, task.base, &sums[row++]);
  if (task.last) state.ulp_sum += collapse();
}

INLINE void refine_one(uint32_t i, uint32_t low, uint32_t shift) {
  if (!is_finite(reference[i]) || !is_finite(candidate[i])) return;
  uint32_t ulp = ulp_distance(reference[i], candidate[i]);
  uint32_t bin = (ulp - low) >> shift;
  if (ulp >= low && bin < TABLE) table[bin * LANES + i % LANES]++;
}

// Counts in `counts` the ULP distances d of finite pairs with d >= low and (d - low) >> shift < TABLE, by that number.
EXPORT(refine) void refine(void) {
  const v128_t magnitude = wasm_i32x4_const_splat(MAGNITUDE), highest = wasm_i32x4_splat(TABLE - 1);
  uint32_t i = 0, size = task.size, low = task.low, shift = task.shift;
  if (task.first) clear_table();
  table_used = TABLE;
  for (; i + LANES <= size; i += LANES) {
    v128_t a = wasm_v128_load(reference + i), b = wasm_v128_load(candidate + i);
    v128_t ulp = ulp_distances(a, b, wasm_v128_and(a, magnitude), wasm_v128_and(b, magnitude));
    v128_t bin = wasm_u32x4_shr(wasm_i32x4_sub(ulp, wasm_i32x4_splat((int32_t)low)), shift);
    if (wasm_v128_any_true(wasm_u32x4_le(bin, highest)))  // few groups, where the bins are narrow
      for (uint32_t lane = 0; lane < LANES; lane++) refine_one(i + lane, low, shift);
  }
  for (; i < size; i++) refine_one(i, low, shift);
  if (task.last) collapse();
}
