// Kernels of serving: many sequences at once, each row with the same result as alone.
#pragma once

#include "layer-kernels.h"

namespace graft {

/** y (rows, out) = x (rows, in) · W, with W (in, out), or (out, in) if transposed: each row in the same order, alone or in a batch. */
struct RowProduct {
  int64_t rows, in, out;
  bool transposed;
  const float* x;
  const float* w;
  float* y;
};

/**
 * Low-rank updates with a different adapter for each row: to the columns [offsets[i], offsets[i + 1]) of y (N, width) adds scale · (x Aᵀ) B
 * of the adapter's module `module[i]`. `places` (adapters, modules, 3): offsets of A (rank, in) and B (rank, out) in the arena, and the
 * rank, 0 for none. `owners` (N): each row's adapter; negative for none.
 */
struct RowUpdates {
  int64_t in, width, count, modules;
  const int64_t* module;
  const int64_t* offsets;
  const float* x;
  const float* arena;
  const int32_t* owners;
  const int32_t* places;
  const float* scales;
  float* y;
};

/** A sequence whose positions [begin, end) are new; `before` earlier ones are in the cache, in these blocks. */
struct CachedSequence {
  int64_t begin, end, before;
  const int32_t* blocks;
};
/** Causal attention of new positions over a cache (blocks · blockRows, cacheWidth); a cache row holds all keys, then all values. */
struct CachedAttention {
  int64_t heads, kvHeads, headSize, half;
  float scale;
  int64_t window, blockRows, cacheWidth;
  const float* q;
  const float* k;
  const float* v;
  const float* cosines;
  const float* sines;
  /** As in `Attention`. */
  const float* sinks;
  const CachedSequence* sequences;
  float* cache;
  float* y;
};
struct CachedTask {
  int64_t sequence, kvHead, first;
};

/**
 * x (rows, in) rounded to 8 bits, in blocks of 64 numbers of a row; the last block of a row is filled up with zeros. x = code · scale, with
 * the largest magnitude of a block at ±127. codes (blocks, rows, 64), in the order of x, or with the even numbers of a block first, or in
 * another order that the same set's product reads, with space for a multiple of 16 rows; scales and offsets (blocks, rows), an offset being
 * 128 times the sum of a block's codes. The range is one of rows.
 */
struct RoundedRows {
  int64_t rows, in;
  bool evenFirst;
  const float* x;
  int8_t* codes;
  float* scales;
  int32_t* offsets;
};

/**
 * y (rows, out) = x · Wᵀ with integers: W (out, in) is UnpackInt8<float>, with scales for rows, or UnpackNf4<float>, whose table is rounded
 * to 8 bits, too; then `in` is a multiple of 64, and the even numbers of x come first. The range is one of columns of y; `scratch` holds
 * `IntegerProductKernels::scratch` floats.
 */
template <typename Stored>
struct IntegerProduct {
  RoundedRows x;
  int64_t out;
  Stored w;
  float* y;
};
template <typename Stored>
using IntegerProductKernel = void (*)(const IntegerProduct<Stored>&, int64_t begin, int64_t end, float* scratch);

/** Kernels of products of integers, with the same bits in every instruction set. */
struct IntegerProductKernels {
  Kernel<RoundedRows> roundRows;
  IntegerProductKernel<UnpackInt8<float>> int8;
  IntegerProductKernel<UnpackNf4<float>> nf4;
  int64_t (*scratch)(int64_t rows, int64_t in);
};

/** Kernels of serving, in float32. */
struct ServingKernels {
  /** The range is one of columns of y. */
  Kernel<RowProduct> rowProduct;
  Kernel<RowUpdates> rowUpdates;
  void (*cacheKeysAndValues)(const CachedAttention&, int64_t sequence);
  void (*cachedAttention)(const CachedAttention&, const CachedTask&, float* scratch);
  int64_t (*cachedAttentionScratch)(int64_t keys, int64_t headSize, int64_t group);
  /** Number of queries in a task. */
  int64_t block;
};

}  // namespace graft
