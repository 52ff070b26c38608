// What the parts of the exact runtime share. What every op computes is written in src/bittrue/exact/spec.md.
//
// Every element of every tensor is one 32-bit word: float32, int32, or a truth value as 0 or 1. Sizes and steps are
// in words, addresses in bytes. Nothing here depends on the order in which parts of a tensor are computed.
#pragma once
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))

enum { RANK = 8, OPERANDS = 6, FACTS = 40 };
enum { LARGEST = 1 << 28 };  // words of one tensor
enum { FLOAT32, INT32, BOOL };

typedef enum { FINE, MALFORMED, NO_MEMORY, MISFIT, NO_ROW, OTHER_VERSION, TOO_COSTLY } Status;

// The ops of a plan; their order is that of operations.json.
typedef enum {
  UNARY, BINARY, COMPARE, LOGICAL, SELECT, CAST, AFFINE, NORMALIZE, MATMUL, CONV, CONV_TRANSPOSE, POOL, REDUCE, ARGMAX,
  SOFTMAX, RESHAPE, TRANSPOSE, SLICE, CONCAT, PAD, GATHER, REPEAT, BROADCAST, POSITION, RESIZE, SCAN, CODES
} Code;

enum { ABS, CEIL, COS, ERF, EXP, EXPM1, FLOOR, LOG, LOG1P, NEGATIVE, RELU, ROUND, RSQRT, SIGMOID, SIGN, SIN, SOFTPLUS,
       SQRT, SQUARE, TANH, FUNCTIONS };
enum { ADD, DIVIDE, MAXIMUM, MINIMUM, MULTIPLY, POWER, SUBTRACT, OPERATIONS };
enum { EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, NOT_EQUAL, RELATIONS };
enum { AND, NOT, OR, XOR, CONNECTIVES };
enum { REDUCE_ALL, REDUCE_ANY, REDUCE_MAX, REDUCE_MEAN, REDUCE_MIN, REDUCE_SUM, REDUCTIONS };
enum { POOL_MAX, POOL_AVERAGE };
enum { RESIZE_LINEAR, RESIZE_NEAREST };

// What the interpreter runs: one kernel on resolved addresses.
typedef enum {
  K_ELEMENTS, K_COPY, K_FILL, K_PRODUCT, K_WINDOWS, K_DEPTHWISE, K_TRANSPOSED, K_POOL, K_REDUCE, K_ARGMAX, K_SOFTMAX,
  K_GATHER, K_POSITION, K_RESIZE, K_PACK, K_LOOP
} Kernel;

typedef struct {
  int32_t kernel, code, sub, dtype;  // which kernel; of which op; which of its functions; of which numbers
  int32_t op;                        // place in the plan, for messages
  int32_t units;                     // parts of the output, each computed by itself
  int32_t part, total, trail;        // words of a part and of all; calls behind it that follow part by part
  int32_t tile, each;                // rows of a unit; bytes of scratch of a thread
  int32_t loop;                      // step of the loop that it is in
  int32_t in[OPERANDS], out, scratch;
  int32_t rank, size[RANK], step[OPERANDS][RANK], out_step[RANK];
  int32_t fact[FACTS];
} Call;

// One op of a plan as it stands in the program.
typedef struct {
  int32_t code, sub, operands, attributes;
  const int32_t *operand, *attribute;
} Op;

typedef struct {
  int32_t dtype, rank, size[RANK], buffer;
} Value;

INLINE float *words(int32_t address) { return (float *)(uintptr_t)(uint32_t)address; }
INLINE int32_t *integers(int32_t address) { return (int32_t *)(uintptr_t)(uint32_t)address; }
INLINE int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
INLINE int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

// memory.c
int32_t room(int64_t bytes);
int32_t mark(void);
int32_t bottom(void);
void release(int32_t to);
void blocks_reset(int32_t base);
int32_t block_take(int32_t words);
void block_give(int32_t address, int32_t words);
int64_t blocks_end(void);

// functions.c: of four float32, of two float64, of two numbers
v128_t cos_four(v128_t x);
v128_t erf_four(v128_t x);
v128_t exp_four(v128_t x);
v128_t expm1_four(v128_t x);
v128_t log_four(v128_t x);
v128_t log1p_four(v128_t x);
v128_t rsqrt_four(v128_t x);
v128_t sigmoid_four(v128_t x);
v128_t sin_four(v128_t x);
v128_t softplus_four(v128_t x);
v128_t tanh_four(v128_t x);
v128_t exp_pair(v128_t x);
double pow64(double x, double y);

// kernels: the units from `begin` to `end`
void run_elements(const Call *call, int32_t begin, int32_t end);
void run_elements_between(const Call *call, int32_t begin, int32_t end);
void run_copy(const Call *call, int32_t begin, int32_t end);
void run_fill(const Call *call, int32_t begin, int32_t end);
void run_product(const Call *call, int32_t begin, int32_t end);
void run_windows(const Call *call, int32_t begin, int32_t end);
void run_depthwise(const Call *call, int32_t begin, int32_t end);
void run_transposed(const Call *call, int32_t begin, int32_t end);
void run_pool(const Call *call, int32_t begin, int32_t end);
void run_reduce(const Call *call, int32_t begin, int32_t end);
void run_argmax(const Call *call, int32_t begin, int32_t end);
void run_softmax(const Call *call, int32_t begin, int32_t end);
int32_t run_gather(const Call *call, int32_t begin, int32_t end);
void run_position(const Call *call, int32_t begin, int32_t end);
void run_resize(const Call *call, int32_t begin, int32_t end);
void run_pack(const Call *call, int32_t begin, int32_t end);
void trail_calls(Call *calls, int32_t count);
int32_t run_all(const Call *calls, int32_t count);

// Threads share a call's units; what a unit computes does not depend on who does.
#ifdef __wasm_atomics__
extern int32_t thread_count;
#else
enum { thread_count = 1 };
#endif

// product.c
// Columns of a packed panel; rows that share a pass over the matrix; positions of a part of a depthwise convolution.
enum { WIDTH = 8, TILE = 96, STRIP = 32 };
int64_t packed_words(int32_t depth, int32_t columns);
int32_t packed_address(int32_t address, int32_t depth, int32_t columns, int32_t groups, int instead);
void pack(const float *matrix, int32_t depth, int32_t row, int32_t column, int32_t columns, float *packed);

// The geometry of windows over up to three spatial axes: the facts of a convolution's call.
typedef struct {
  int32_t in[3], out[3], tap[3], stride[3], dilation[3], low[3];
  int32_t channels, filters, groups, count;  // count: output positions in all
} Windows;

_Static_assert(sizeof(Windows) <= FACTS * 4, "the facts of a call hold a window's geometry");
