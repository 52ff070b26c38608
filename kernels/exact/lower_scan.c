// Resolving loops over time. spec.md, section 8.
//
// Each step copies the slices out of the sequences, runs the body, copies the new states side by side into the output,
// and from there into the states: a new state may be what another state was.
#include "plan.h"

typedef struct {
  int32_t sequences, states, body, batch, time, middle, width;  // width: of all states together
  const int32_t *at, *end, *results;                             // the body's words; which values are the new states
  Value *base, *state;                                           // the body's values; its states among them
} Loop;

static int32_t read_loop(const Step *step, Loop *loop) {
  const Op *op = step->op;
  if (op->attributes < 4) return MALFORMED;
  *loop = (Loop){.sequences = attribute(step, 0), .states = attribute(step, 1), .body = attribute(step, 2)};
  NEED(loop->sequences >= 1 && loop->states >= 1 && loop->body >= 0 && loop->body < MOST);
  NEED(loop->sequences < op->operands && loop->states <= op->operands - loop->sequences);
  NEED(loop->states <= op->attributes - 3);
  loop->at = op->attribute + 3;
  loop->end = loop->results = op->attribute + op->attributes - loop->states;
  const Value *first = operand(step, 0);
  NEED(first->rank >= 2 && first->size[1] >= 1);
  loop->batch = first->size[0];
  loop->time = first->size[1];
  int64_t values = (int64_t)op->operands + loop->body;
  loop->base = values < MOST ? more_values((int32_t)values) : 0;
  if (!loop->base) return MALFORMED;
  loop->state = loop->base + loop->sequences;
  return FINE;
}

// What the body sees: slices and states in buffers of their own, the rest where it is.
static int32_t make_values(const Step *step, Loop *loop) {
  int32_t sequences = loop->sequences;
  for (int32_t k = 0; k < step->op->operands; k++) {
    const Value *x = operand(step, k);
    Value *local = loop->base + k;
    *local = *x;
    if (k >= sequences + loop->states) continue;
    NEED(x->rank >= 2);
    NEED(k >= sequences || (x->size[0] == loop->batch && x->size[1] == loop->time));
    NEED(k < sequences || x->size[0] == loop->batch || x->size[0] == 1);
    local->rank = k < sequences ? x->rank - 1 : x->rank;
    local->size[0] = loop->batch;
    for (int32_t axis = 1; axis < local->rank; axis++) local->size[axis] = x->size[axis + (k < sequences)];
    TRY(set_shape(local, x->dtype, local->rank, local->size));
    TRY(new_buffer(local, 1));
  }
  return FINE;
}

// States have the same axes but the last; the result has them side by side, and time after the batch.
static int32_t make_result(const Step *step, Loop *loop) {
  const Value *state = loop->state;
  int32_t rank = state->rank, size[RANK];
  int64_t width = 0;
  NEED(rank + 1 <= RANK);
  for (int32_t k = 0; k < loop->states; k++) {
    NEED(state[k].rank == rank && state[k].dtype == state->dtype);
    for (int32_t axis = 1; axis + 1 < rank; axis++) NEED(state[k].size[axis] == state->size[axis]);
    width += state[k].size[rank - 1];
    NEED(width <= LARGEST);
  }
  loop->middle = (int32_t)size_between(state, 1, rank - 1);
  loop->width = (int32_t)width;
  for (int32_t axis = 0; axis < rank - 1; axis++) size[axis + (axis > 0)] = state->size[axis];
  size[1] = loop->time;
  size[rank] = loop->width;
  TRY(set_shape(step->result, state->dtype, rank + 1, size));
  return place(step, 0, 0);
}

// Rows of `inner` words, `from_row` and `to_row` apart; each step of the loop reads `advance` words further on.
static int32_t copy_rows(const Step *step, int32_t rows, int32_t inner, int32_t from, int32_t from_row, int32_t to,
                         int32_t advance) {
  int32_t view[2] = {rows, inner}, from_step[2] = {from_row, 1}, to_step[2] = {inner, 1};
  Call *copied;
  TRY(copy_view(step, from, 0, from_step, to, 0, to_step, 2, view, &copied));
  copied->fact[2] = advance;
  return FINE;
}

static int32_t begin_states(const Step *step, const Loop *loop) {
  for (int32_t k = 0; k < loop->states; k++) {
    const Value *initial = operand(step, loop->sequences + k), *state = loop->state + k;
    int32_t inner = (int32_t)size_between(state, 1, state->rank);
    TRY(copy_rows(step, loop->batch, inner, address_of(initial), initial->size[0] == 1 ? 0 : inner, address_of(state),
                  0));
  }
  return FINE;
}

static int32_t slices(const Step *step, const Loop *loop) {
  for (int32_t k = 0; k < loop->sequences; k++) {
    const Value *slice = loop->base + k;
    int32_t inner = (int32_t)size_between(slice, 1, slice->rank);
    TRY(copy_rows(step, loop->batch, inner, address_of(operand(step, k)), loop->time * inner, address_of(slice), inner));
  }
  return FINE;
}

// The new states into the output, or from the output back into the states.
static int32_t move_states(const Step *step, const Loop *loop, int back) {
  int32_t offset = 0, out = address_of(step->result), stride = loop->middle * loop->width;
  for (int32_t k = 0; k < loop->states; k++) {
    const Value *made = loop->base + loop->results[k], *state = loop->state + k;
    int32_t last = state->size[state->rank - 1], view[3] = {loop->batch, loop->middle, last};
    NEED(made->rank == state->rank && made->dtype == state->dtype);
    for (int32_t axis = 0; axis < state->rank; axis++) NEED(made->size[axis] == state->size[axis]);
    int32_t own[3] = {loop->middle * last, last, 1}, whole[3] = {loop->time * stride, loop->width, 1};
    Call *copied;
    if (back)
      TRY(copy_view(step, out, offset, whole, address_of(state), 0, own, 3, view, &copied));
    else
      TRY(copy_view(step, address_of(made), 0, own, out, offset, whole, 3, view, &copied));
    copied->fact[back ? 2 : 3] = stride;
    offset += last;
  }
  return FINE;
}

int32_t resolve_scan(const Step *step) {
  Loop loop;
  TRY(read_loop(step, &loop));
  TRY(make_values(step, &loop));
  TRY(make_result(step, &loop));
  TRY(begin_states(step, &loop));
  int32_t first = calls_made();
  double before = cost_so_far();
  emit(step, K_LOOP, 1, 0);
  TRY(slices(step, &loop));
  TRY(resolve_ops(&loop.at, loop.end, loop.body, loop.base, step->op->operands, loop.results, loop.states, 1));
  if (loop.at != loop.end) return MALFORMED;
  TRY(move_states(step, &loop, 0));
  TRY(move_states(step, &loop, 1));
  call_at(first)->fact[0] = loop.time;
  call_at(first)->fact[1] = calls_made() - first - 1;
  add_cost((cost_so_far() - before) * (loop.time - 1));
  for (int32_t k = 0; k < loop.states; k++) used_up(buffer_of(loop.base + loop.results[k]), 1);
  for (int32_t k = 0; k < loop.sequences + loop.states; k++) used_up(buffer_of(loop.base + k), 1);
  return FINE;
}
