// A block of a product: some rows by a packed matrix. What is put together of it is in product.c.
#pragma once
#include "exact.h"

// What the rows of a tile are made of: for each tap, one address a row, and where its part of the matrix begins.
typedef struct {
  const float *const *at;  // [tap * TILE + row]
  const int32_t *order;    // place of each tap in the matrix; 0 where they lie one after the other
  int32_t taps, depth, all_taps;
  float *spread;  // room for spread_words
} Rows;

typedef struct {
  const float *packed, *bias;
  float *out;
  int32_t row, columns;  // words from one row of the output to the next; how many it has
} Target;

// Words of room that rows of `length` products need.
int64_t spread_words(int64_t length);

// All columns of `count` rows, at most TILE.
void multiply(const Rows *rows, const Target *target, int32_t count);
