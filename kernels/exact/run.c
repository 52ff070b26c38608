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

// The place of the first call that failed, -1 if none did.
int32_t run_calls(const Call *calls, int32_t count) {
  for (int32_t at = 0; at < count; at++) {
    const Call *call = calls + at;
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
