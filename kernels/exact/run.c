// The interpreter: calls one after the other; a loop repeats those behind it.
#include "exact.h"

int32_t loop_step;

static int32_t run_call(const Call *call, int32_t begin, int32_t end) {
  switch (call->kernel) {
    case K_ELEMENTS: run_elements(call, begin, end); break;
    case K_COPY: run_copy(call, begin, end); break;
    case K_FILL: run_fill(call, begin, end); break;
    case K_PRODUCT: run_product(call, begin, end); break;
    case K_WINDOWS: run_windows(call, begin, end); break;
    case K_DEPTHWISE: run_depthwise(call, begin, end); break;
    case K_TRANSPOSED: run_transposed(call, begin, end); break;
    case K_POOL: run_pool(call, begin, end); break;
    case K_REDUCE: run_reduce(call, begin, end); break;
    case K_ARGMAX: run_argmax(call, begin, end); break;
    case K_SOFTMAX: run_softmax(call, begin, end); break;
    case K_GATHER: return run_gather(call, begin, end);
    case K_POSITION: run_position(call, begin, end); break;
    case K_RESIZE: run_resize(call, begin, end); break;
    case K_PACK: run_pack(call, begin, end); break;
  }
  return 0;
}

// Whether a call works in place on what `first` has put out, part by part as well as in one go.
static int follows(const Call *first, const Call *call) {
  if (call->kernel != K_ELEMENTS || call->out != first->out) return 0;
  if (call->rank == 2 ? first->part % call->size[1] != 0 : call->rank != 1) return 0;
  int64_t words_in_all = call->rank == 2 ? (int64_t)call->size[0] * call->size[1] : call->size[0];
  if (words_in_all != first->total) return 0;
  for (int32_t k = 0; k < OPERANDS; k++) {
    int whole = call->step[k][call->rank - 1] == 1 && (call->rank == 1 || call->step[k][0] == call->size[1]);
    if (call->in[k] == first->out && !whole) return 0;
  }
  return 1;
}

// Finds the calls that can follow others while what those have put out is still in the cache. No bit depends on it.
void trail_calls(Call *calls, int32_t count) {
  for (int32_t at = 0; at < count; at++)
    while (calls[at].part && at + calls[at].trail + 1 < count && follows(calls + at, calls + at + calls[at].trail + 1))
      calls[at].trail++;
}

// A call and those that follow it, part by part.
static void run_trailed(const Call *call, int32_t begin, int32_t end) {
  for (int32_t unit = begin; unit < end; unit++) {
    run_call(call, unit, unit + 1);
    int64_t from = (int64_t)unit * call->part, to = from + call->part;
    for (int32_t k = 1; k <= call->trail; k++)
      run_elements_between(call + k, (int32_t)from, (int32_t)(to < call->total ? to : call->total));
  }
}

// The place of the first call that failed, -1 if none did.
int32_t run_calls(const Call *calls, int32_t count) {
  for (int32_t at = 0; at < count; at++) {
    const Call *call = calls + at;
    if (call->trail) {
      run_trailed(call, 0, call->units);
      at += call->trail;
      continue;
    }
    if (call->kernel != K_LOOP) {
      if (run_call(call, 0, call->units)) return at;
      continue;
    }
    for (loop_step = 0; loop_step < call->fact[0]; loop_step++)
      for (int32_t inner = at + 1; inner <= at + call->fact[1]; inner++)
        if (run_call(calls + inner, 0, calls[inner].units)) return inner;
    loop_step = 0;
    at += call->fact[1];
  }
  return -1;
}
