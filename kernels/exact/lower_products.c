// Resolving products, windows and reductions.
#include "multiply.h"
#include "plan.h"

enum { LARGEST_STEP = 1 << 20 };

static int32_t resolve_matmul(const Step *step) {
  const Value *a = operand(step, 0), *b = operand(step, 1);
  int32_t size[RANK], rank = 0, biased = step->op->operands == 3;
  NEED((step->op->operands == 2 || biased) && step->op->attributes == 0 && a->rank >= 1 && b->rank >= 2);
  NEED(a->dtype == FLOAT32 && b->dtype == FLOAT32 && (a->rank > 1 || b->rank == 2));
  int32_t depth = a->size[a->rank - 1], columns = b->size[b->rank - 1];
  NEED(b->size[b->rank - 2] == depth);
  if (biased) {
    const Value *bias = operand(step, 2);
    NEED(bias->dtype == FLOAT32 && bias->rank == 1 && bias->size[0] == columns);
  }
  int flat = b->rank == 2;
  int32_t lead_a = larger(a->rank - 2, 0), lead_b = b->rank - 2, lead = larger(lead_a, lead_b);
  int32_t lead_size[RANK] = {0}, step_a[RANK] = {0}, step_b[RANK] = {0}, own_a[RANK], own_b[RANK];
  NEED(lead + 2 <= RANK);
  row_major(a, own_a);
  row_major(b, own_b);
  for (int32_t axis = 0; axis < lead; axis++) {
    int32_t at_a = axis - lead + lead_a, at_b = axis - lead + lead_b;
    int32_t n = at_a < 0 ? 1 : a->size[at_a], m = at_b < 0 ? 1 : b->size[at_b];
    NEED(n == m || n == 1 || m == 1);
    size[rank++] = lead_size[axis] = n == 1 ? m : n;
    step_a[axis] = n == 1 ? 0 : own_a[at_a];
    step_b[axis] = m == 1 ? 0 : own_b[at_b];
  }
  int32_t rows = a->rank > 1 ? a->size[a->rank - 2] : 1;
  if (a->rank > 1) size[rank++] = rows;
  size[rank++] = columns;
  TRY(set_shape(step->result, FLOAT32, rank, size));
  TRY(place(step, 0, 0));
  if (flat) {
    rows = (int32_t)size_between(a, 0, a->rank - 1);
    lead = 0;
  }
  const Packed *packed = flat ? packed_of(b) : 0;
  int known = packed && packed->address && packed->depth == depth && packed->columns == columns && packed->groups == 1;
  int32_t free_address = 0, each = 0;
  TRY(scratch_each(spread_words(depth) + (known ? 0 : packed_words(depth, columns)), &free_address, &each));
  int64_t matrices = 1;
  for (int32_t axis = 0; axis < lead; axis++) matrices *= lead_size[axis];
  int32_t tile = tile_of(matrices * rows), tiles = (rows + tile - 1) / tile;
  double cost = (double)matrices * rows * columns * larger(depth, 1);
  Call *call = emit(step, K_PRODUCT, columns ? matrices * tiles : 0, cost);
  call->in[0] = address_of(a);
  call->in[1] = known ? packed->address : address_of(b);
  call->in[2] = biased ? address_of(operand(step, 2)) : 0;
  call->out = address_of(step->result);
  call->scratch = free_address;
  call->each = each;
  call->tile = tile;
  call->rank = lead;
  for (int32_t axis = 0; axis < lead; axis++) {
    call->size[axis] = lead_size[axis];
    call->step[0][axis] = step_a[axis];
    call->step[1][axis] = step_b[axis];
  }
  if (!lead && columns && size_of(step->result)) {
    call->part = tile * columns;
    call->total = (int32_t)size_of(step->result);
  }
  int32_t facts[5] = {rows, depth, columns, known, tiles};
  for (int32_t i = 0; i < 5; i++) call->fact[i] = facts[i];
  return FINE;
}

static void unit_window(Windows *g) {
  for (int32_t k = 0; k < 3; k++) {
    g->in[k] = g->out[k] = g->tap[k] = g->stride[k] = g->dilation[k] = 1;
    g->low[k] = 0;
  }
}

// The output's size on one axis, with the padding before it.
static int32_t slide(Windows *g, int32_t k, int same, int64_t low, int64_t high) {
  NEED(g->tap[k] >= 1 && g->stride[k] >= 1 && g->stride[k] <= LARGEST_STEP && g->dilation[k] >= 1);
  NEED(g->dilation[k] <= LARGEST_STEP && low >= 0 && high >= 0 && low <= LARGEST_STEP && high <= LARGEST_STEP);
  int64_t extent = ((int64_t)g->tap[k] - 1) * g->dilation[k] + 1, n = g->in[k], stride = g->stride[k];
  NEED(extent <= LARGEST);
  if (same) {
    int64_t out = (n + stride - 1) / stride, total = (out - 1) * stride + extent - n;
    g->out[k] = (int32_t)out;
    g->low[k] = (int32_t)((total > 0 ? total : 0) / 2);
    return FINE;
  }
  NEED(n + low + high >= extent);
  g->out[k] = (int32_t)((n + low + high - extent) / stride + 1);
  g->low[k] = (int32_t)low;
  return FINE;
}

static int32_t check_kernel(const Step *step, const Value *kernel, int32_t spatial) {
  NEED(step->op->operands == 2 || step->op->operands == 3);
  NEED(kernel->dtype == FLOAT32 && kernel->rank == spatial + 2);
  if (step->op->operands == 3) {
    const Value *bias = operand(step, 2);
    NEED(bias->dtype == FLOAT32 && bias->rank == 1 && bias->size[0] == kernel->size[kernel->rank - 1]);
  }
  return FINE;
}

static int32_t set_positions(const Step *step, const Value *x, Windows *g, int32_t spatial) {
  int32_t size[RANK] = {x->size[0]};
  for (int32_t i = 0; i < spatial; i++) size[1 + i] = g->out[3 - spatial + i];
  size[1 + spatial] = g->filters;
  TRY(set_shape(step->result, x->dtype, spatial + 2, size));
  g->count = (int32_t)size_between(step->result, 0, spatial + 1);
  return FINE;
}

// The kernel in panels: as it was packed when it was loaded, or packed when it is needed.
static int32_t panels(const Step *step, int32_t depth, int32_t columns, int32_t groups, int32_t *address) {
  const Value *kernel = operand(step, 1);
  const Packed *packed = packed_of(kernel);
  if (packed && packed->address && packed->depth == depth && packed->columns == columns && packed->groups == groups) {
    *address = packed->address;
    return FINE;
  }
  TRY(scratch(packed_words(depth, columns) * groups, address));
  Call *call = emit(step, K_PACK, groups, (double)size_of(kernel));
  call->in[0] = address_of(kernel);
  call->out = *address;
  call->fact[0] = depth;
  call->fact[1] = columns;
  call->fact[2] = groups;
  return FINE;
}

static int32_t emit_windows(const Step *step, const Windows *g, int32_t kernel, int32_t kind, int64_t units,
                            int32_t pitch, double cost) {
  int64_t taps = (int64_t)g->tap[0] * g->tap[1] * g->tap[2];
  int32_t address, each;
  TRY(scratch_each(spread_words(taps * g->channels) + g->channels + taps * (1 + pitch), &address, &each));
  Call *call = emit(step, kind, units, cost);
  call->each = each;
  call->tile = kind == K_WINDOWS ? tile_of(g->count) : STRIP;
  *(Windows *)call->fact = *g;
  call->in[0] = address_of(operand(step, 0));
  call->in[1] = kernel;
  call->in[2] = step->op->operands == 3 ? address_of(operand(step, 2)) : 0;
  call->out = address_of(step->result);
  call->scratch = address;
  if (kind != K_TRANSPOSED) {
    call->part = call->tile * g->filters;
    call->total = (int32_t)size_of(step->result);
  }
  return FINE;
}

// spatial, groups, same, strides, dilations, (low, high) an axis
static int32_t resolve_conv(const Step *step) {
  const Value *x = operand(step, 0), *kernel = operand(step, 1);
  NEED(step->op->attributes >= 3);
  int32_t spatial = attribute(step, 0), groups = attribute(step, 1), first = 3 - spatial;
  NEED(spatial >= 1 && spatial <= 3 && step->op->attributes == 3 + 4 * spatial && x->rank == spatial + 2);
  TRY(check_kernel(step, kernel, spatial));
  Windows g;
  unit_window(&g);
  g.channels = x->size[x->rank - 1];
  g.filters = kernel->size[kernel->rank - 1];
  g.groups = groups;
  NEED(x->dtype == FLOAT32 && groups >= 1 && g.filters % groups == 0);
  NEED((int64_t)kernel->size[spatial] * groups == g.channels);
  for (int32_t i = 0; i < spatial; i++) {
    g.in[first + i] = x->size[1 + i];
    g.tap[first + i] = kernel->size[i];
    g.stride[first + i] = attribute(step, 3 + i);
    g.dilation[first + i] = attribute(step, 3 + spatial + i);
    TRY(slide(&g, first + i, attribute(step, 2), attribute(step, 3 + 2 * spatial + 2 * i),
              attribute(step, 4 + 2 * spatial + 2 * i)));
  }
  TRY(set_positions(step, x, &g, spatial));
  TRY(place(step, 0, 0));
  int32_t depth = (int32_t)size_between(kernel, 0, spatial + 1), address;
  double cost = (double)size_of(step->result) * larger(depth, 1);
  if (kernel->size[spatial] == 1 && groups == g.filters && groups > 1)
    return emit_windows(step, &g, address_of(kernel), K_DEPTHWISE, (g.count + STRIP - 1) / STRIP, 1, cost);
  TRY(panels(step, depth, g.filters / groups, groups, &address));
  int32_t tile = tile_of(g.count);
  return emit_windows(step, &g, address, K_WINDOWS, (g.count + tile - 1) / tile, TILE, cost);
}

// spatial, strides, dilations, (low, high) an axis, of which either may be negative
static int32_t resolve_conv_transpose(const Step *step) {
  const Value *x = operand(step, 0), *kernel = operand(step, 1);
  NEED(step->op->attributes >= 1);
  int32_t spatial = attribute(step, 0), first = 3 - spatial, address;
  NEED(spatial >= 1 && spatial <= 3 && step->op->attributes == 1 + 4 * spatial && x->rank == spatial + 2);
  TRY(check_kernel(step, kernel, spatial));
  Windows g;
  unit_window(&g);
  g.channels = x->size[x->rank - 1];
  g.filters = kernel->size[kernel->rank - 1];
  g.groups = 1;
  NEED(x->dtype == FLOAT32 && kernel->size[spatial] == g.channels);
  for (int32_t i = 0; i < spatial; i++) {
    int32_t k = first + i;
    int64_t low = attribute(step, 1 + 2 * spatial + 2 * i), high = attribute(step, 2 + 2 * spatial + 2 * i);
    g.in[k] = x->size[1 + i];
    g.tap[k] = kernel->size[i];
    g.stride[k] = attribute(step, 1 + i);
    g.dilation[k] = attribute(step, 1 + spatial + i);
    NEED(g.tap[k] >= 1 && g.stride[k] >= 1 && g.stride[k] <= LARGEST_STEP && g.dilation[k] >= 1);
    NEED(g.dilation[k] <= LARGEST_STEP && low > -LARGEST && low < LARGEST && high > -LARGEST && high < LARGEST);
    int64_t extent = ((int64_t)g.tap[k] - 1) * g.dilation[k] + 1;
    int64_t out = ((int64_t)g.in[k] - 1) * g.stride[k] + extent - low - high;
    NEED(extent <= LARGEST && out >= 1 && out <= LARGEST);
    g.out[k] = (int32_t)out;
    g.low[k] = (int32_t)low;
  }
  TRY(set_positions(step, x, &g, spatial));
  TRY(place(step, 0, 0));
  int32_t depth = (int32_t)size_between(kernel, 0, spatial + 1);
  TRY(panels(step, depth, g.filters, 1, &address));
  int64_t rows = g.out[2] ? g.count / g.out[2] : 0;
  double cost = (double)size_of(step->result) * larger(depth, 1);
  return emit_windows(step, &g, address, K_TRANSPOSED, rows, TILE, cost);
}

// spatial, same, sizes, strides, (low, high) an axis
int32_t resolve_pool(const Step *step) {
  const Value *x = operand(step, 0);
  NEED(step->op->operands == 1 && step->op->attributes >= 2);
  int32_t spatial = attribute(step, 0), first = 3 - spatial, address, each;
  NEED(spatial >= 1 && spatial <= 3 && step->op->attributes == 2 + 4 * spatial && x->rank == spatial + 2);
  NEED(x->dtype == FLOAT32 || (x->dtype == INT32 && step->op->sub == POOL_MAX));
  Windows g;
  unit_window(&g);
  g.channels = g.filters = x->size[x->rank - 1];
  g.groups = 1;
  int64_t taps = 1;
  for (int32_t i = 0; i < spatial; i++) {
    g.in[first + i] = x->size[1 + i];
    g.tap[first + i] = attribute(step, 2 + i);
    g.stride[first + i] = attribute(step, 2 + spatial + i);
    NEED(g.tap[first + i] >= 1 && g.tap[first + i] <= LARGEST_STEP);
    TRY(slide(&g, first + i, attribute(step, 1), attribute(step, 2 + 2 * spatial + 2 * i),
              attribute(step, 3 + 2 * spatial + 2 * i)));
    taps *= g.tap[first + i];
    NEED(taps <= LARGEST);
  }
  TRY(set_positions(step, x, &g, spatial));
  TRY(place(step, 0, 0));
  TRY(scratch_each(taps, &address, &each));
  Call *call = emit(step, K_POOL, g.count, (double)size_of(step->result) * taps);
  *(Windows *)call->fact = g;
  call->sub = step->op->sub;
  call->dtype = x->dtype;
  call->in[0] = address_of(x);
  call->out = address_of(step->result);
  call->scratch = address;
  call->each = each;
  return FINE;
}

int32_t resolve_products(const Step *step) {
  NEED(step->op->operands >= 2);
  switch (step->op->code) {
    case MATMUL: return resolve_matmul(step);
    case CONV: return resolve_conv(step);
    default: return resolve_conv_transpose(step);
  }
}

// The axes in `gone` last: those that stay keep their order, as do those that go.
static Call *reduction(const Step *step, int32_t kernel, uint32_t gone, int32_t *kept) {
  const Value *x = operand(step, 0);
  int32_t own[RANK], at = 0;
  int64_t outputs = 1, terms = 1;
  row_major(x, own);
  for (int32_t axis = 0; axis < x->rank; axis++) *(gone >> axis & 1 ? &terms : &outputs) *= x->size[axis];
  Call *call = emit(step, kernel, outputs, (double)size_of(x));
  for (int32_t pass = 0; pass < 2; pass++) {
    for (int32_t axis = 0; axis < x->rank; axis++) {
      if ((int32_t)(gone >> axis & 1) != pass) continue;
      call->size[at] = x->size[axis];
      call->step[0][at++] = own[axis];
    }
    if (!pass) *kept = at;
  }
  call->rank = at;
  call->sub = step->op->sub;
  call->dtype = x->dtype;
  call->in[0] = address_of(x);
  call->out = address_of(step->result);
  call->fact[0] = *kept;
  call->fact[1] = (int32_t)terms;
  call->fact[2] = (int32_t)terms;
  return call;
}

// whether the axes stay as size 1, then the axes
static int32_t resolve_reduce(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t size[RANK], rank = 0, kept, sub = step->op->sub;
  uint32_t gone = 0;
  NEED(step->op->operands == 1 && step->op->attributes >= 1);
  NEED(sub == REDUCE_ALL || sub == REDUCE_ANY ? x->dtype == BOOL : x->dtype != BOOL);
  NEED(sub != REDUCE_MEAN || x->dtype == FLOAT32);
  for (int32_t i = 1; i < step->op->attributes; i++) {
    int32_t axis;
    TRY(axis_of(x, attribute(step, i), &axis));
    gone |= 1u << axis;
  }
  for (int32_t axis = 0; axis < x->rank; axis++)
    if (!(gone >> axis & 1)) size[rank++] = x->size[axis];
    else if (attribute(step, 0)) size[rank++] = 1;
  TRY(set_shape(step->result, x->dtype, rank, size));
  if (!gone) return alias(step, x);
  TRY(place(step, 0, 0));
  reduction(step, K_REDUCE, gone, &kept);
  return FINE;
}

static int32_t resolve_argmax(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t axis, size[RANK], rank = 0, kept;
  NEED(step->op->operands == 1 && step->op->attributes == 1);
  TRY(axis_of(x, attribute(step, 0), &axis));
  NEED(x->size[axis] >= 1);
  for (int32_t k = 0; k < x->rank; k++)
    if (k != axis) size[rank++] = x->size[k];
  TRY(set_shape(step->result, INT32, rank, size));
  TRY(place(step, 0, 0));
  reduction(step, K_ARGMAX, 1u << axis, &kept);
  return FINE;
}

static int32_t resolve_softmax(const Step *step) {
  const Value *x = operand(step, 0);
  int32_t axis, kept, address, each;
  NEED(step->op->operands == 1 && step->op->attributes == 1 && x->dtype == FLOAT32);
  TRY(axis_of(x, attribute(step, 0), &axis));
  TRY(set_shape(step->result, FLOAT32, x->rank, x->size));
  TRY(place(step, 0, 1));
  TRY(scratch_each(2 * (int64_t)x->size[axis], &address, &each));
  Call *call = reduction(step, K_SOFTMAX, 1u << axis, &kept);
  call->scratch = address;
  call->each = each;
  return FINE;
}

// spatial, whether what follows are factors, then the sizes wanted or the factors
static int32_t resolve_resize(const Step *step) {
  const Value *x = operand(step, 0);
  NEED(step->op->operands == 1 && step->op->attributes >= 2);
  int32_t spatial = attribute(step, 0), size[RANK], changed = 0, done = 0, from = address_of(x);
  NEED(spatial >= 1 && x->rank == spatial + 2 && step->op->attributes == 2 + spatial);
  NEED(x->dtype == FLOAT32 || step->op->sub == RESIZE_NEAREST);
  for (int32_t axis = 0; axis < x->rank; axis++) {
    int64_t wanted = x->size[axis];
    if (axis >= 1 && axis <= spatial) {
      int32_t given = attribute(step, 1 + axis);
      wanted = attribute(step, 1) ? wanted * given : given;
      NEED(given >= 1 && wanted <= LARGEST && x->size[axis] >= 1);
    }
    size[axis] = (int32_t)wanted;
    changed += wanted != x->size[axis];
  }
  TRY(set_shape(step->result, x->dtype, x->rank, size));
  if (!changed) return alias(step, x);
  TRY(place(step, 0, 0));
  Value now = *x;
  for (int32_t axis = 1; axis <= spatial; axis++) {
    if (size[axis] == x->size[axis]) continue;
    int32_t before = now.size[axis], to = address_of(step->result);
    now.size[axis] = size[axis];
    if (++done < changed) TRY(scratch(size_of(&now), &to));
    Call *call = emit(step, K_RESIZE, size_between(&now, 0, axis + 1), (double)size_of(&now));
    call->sub = step->op->sub;
    call->in[0] = from;
    call->out = to;
    call->fact[0] = before;
    call->fact[1] = size[axis];
    call->fact[2] = (int32_t)size_between(&now, axis + 1, now.rank);
    from = to;
  }
  return FINE;
}

int32_t resolve_reductions(const Step *step) {
  NEED(step->op->operands == 1);
  switch (step->op->code) {
    case REDUCE: return resolve_reduce(step);
    case ARGMAX: return resolve_argmax(step);
    case SOFTMAX: return resolve_softmax(step);
    case POOL: return resolve_pool(step);
    default: return resolve_resize(step);
  }
}
