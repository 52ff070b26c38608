// The interpreter: calls one after the other; a loop repeats those behind it.
#include "exact.h"

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

// A call and those that follow it, part by part; `own` is the call as this thread runs it.
static void run_trailed(const Call *own, const Call *call, int32_t begin, int32_t end) {
  for (int32_t unit = begin; unit < end; unit++) {
    run_call(own, unit, unit + 1);
    int64_t from = (int64_t)unit * call->part, to = from + call->part;
    for (int32_t k = 1; k <= call->trail; k++)
      run_elements_between(call + k, (int32_t)from, (int32_t)(to < call->total ? to : call->total));
  }
}

// The first of a thread's units, or words.
static int32_t share(int32_t of, int32_t thread) { return (int32_t)((int64_t)of * thread / thread_count); }

// A thread's share of a call. Returns 1 where a number is no row of a table.
static int32_t run_share(const Call *call, int32_t loop, int32_t thread) {
  int32_t begin = share(call->units, thread), end = share(call->units, thread + 1);
  Call own = *call;
  own.scratch += thread * call->each;
  own.loop = loop;
  if (thread_count > 1 && call->kernel == K_ELEMENTS && call->rank == 1 && call->units == 1) {
    run_elements_between(&own, share(call->size[0], thread), share(call->size[0], thread + 1));
    return 0;
  }
  if (begin == end) return 0;
  if (call->trail && loop < 0) {
    run_trailed(&own, call, begin, end);
    return 0;
  }
  if (loop < 0) own.loop = 0;
  return run_call(&own, begin, end);
}

static int32_t failed_at;  // the place of the first call that failed, INT32_MAX if none did

#ifdef __wasm_atomics__
enum { MOST_THREADS = 64, SPINS = 1 << 14 };
int32_t thread_count = 1;
static const Call *shared_calls;
static int32_t shared_count, arrived, phase, generation, dismissed, first_sleeps;

static int32_t seen(int32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

// Waits until a word is no longer `old`. The first thread may be one that must not sleep: a page's own.
static void until_changed(int32_t *word, int32_t old, int32_t thread) {
  for (int32_t i = 0; seen(word) == old; i++)
    if ((thread || first_sleeps) && i > SPINS) __builtin_wasm_memory_atomic_wait32(word, old, -1);
}

static void change(int32_t *word) {
  __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
  __builtin_wasm_memory_atomic_notify(word, MOST_THREADS);
}

// Nobody goes on before all are here.
static void meet(int32_t thread) {
  if (thread_count == 1) return;
  int32_t now = seen(&phase);
  if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == thread_count) {
    __atomic_store_n(&arrived, 0, __ATOMIC_SEQ_CST);
    change(&phase);
  } else {
    until_changed(&phase, now, thread);
  }
}

static void fail(int32_t at) {
  int32_t known = seen(&failed_at);
  while (at < known && !__atomic_compare_exchange_n(&failed_at, &known, at, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
}
#else
static void meet(int32_t thread) { (void)thread; }
static void fail(int32_t at) { failed_at = smaller(failed_at, at); }
#endif

// A thread's share of all calls. After a failure it goes on, as others may wait for it: every address stays what it is.
static void run_calls(const Call *calls, int32_t count, int32_t thread) {
  for (int32_t at = 0; at < count; at++) {
    const Call *call = calls + at;
    if (call->kernel != K_LOOP) {
      if (run_share(call, -1, thread)) fail(at);
      meet(thread);
      at += call->trail;
      continue;
    }
    for (int32_t step = 0; step < call->fact[0]; step++)
      for (int32_t inner = at + 1; inner <= at + call->fact[1]; inner++) {
        if (run_share(calls + inner, step, thread)) fail(inner);
        meet(thread);
      }
    at += call->fact[1];
  }
}

// The place of the first call that failed, -1 if none did.
int32_t run_all(const Call *calls, int32_t count) {
  failed_at = INT32_MAX;
#ifdef __wasm_atomics__
  shared_calls = calls;
  shared_count = count;
  if (thread_count > 1) change(&generation);
#endif
  run_calls(calls, count, 0);
  return failed_at == INT32_MAX ? -1 : failed_at;
}

#ifdef __wasm_atomics__
// How many threads share the work, this one included, and whether this one may sleep. Before anything is loaded.
EXPORT(threads) void threads(int32_t count, int32_t sleeps) {
  thread_count = larger(1, smaller(count, MOST_THREADS));
  first_sleeps = sleeps;
}

// What a thread but the first does, until it is dismissed or its engine ends it.
EXPORT(work) void work(int32_t thread) {
  for (int32_t turn = 0;; turn++) {
    until_changed(&generation, turn, thread);
    if (seen(&dismissed)) return;
    run_calls(shared_calls, shared_count, thread);
  }
}

EXPORT(dismiss) void dismiss(void) {
  change(&dismissed);
  change(&generation);
}
#endif
