// What serving computes: many sequences at once, each row as it would be alone.
#pragma once

#include "kernel.h"

namespace graft {

/** y (rows, out) = x (rows, in) · W, of W (in, out), or (out, in) when transposed: each row in the same order, alone or among others. */
struct RowProduct {
  int64_t rows, in, out;
  bool transposed;
  const float* x;
  const float* w;
  float* y;
};

/**
 * Updates of low rank, of another adapter for each row: to the columns [offsets[i], offsets[i + 1]) of y (N, width) is added
 * scale · (x Aᵀ) B of the `module[i]`th of the adapter's modules. `places` (adapters, modules, 3): where A (rank, in) and B (rank, out)
 * begin in the arena, and the rank, 0 for none. `owners` (N): each row's adapter; negative for none.
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

/** A sequence of which the positions [begin, end) are new; `before` others are in the cache, in these blocks. */
struct CachedSequence {
  int64_t begin, end, before;
  const int32_t* blocks;
};
/** Causal attention of new positions over a cache (blocks · blockRows, cacheWidth), in which a row holds all keys, then all values. */
struct CachedAttention {
  int64_t heads, kvHeads, headSize, half;
  float scale;
  int64_t window, blockRows, cacheWidth;
  const float* q;
  const float* k;
  const float* v;
  const float* cosines;
  const float* sines;
  const CachedSequence* sequences;
  float* cache;
  float* y;
};
struct CachedTask {
  int64_t sequence, kvHead, first;
};

/** What serving computes, in float32. */
struct ServingKernels {
  /** Parts are columns of y. */
  Kernel<RowProduct> rowProduct;
  Kernel<RowUpdates> rowUpdates;
  void (*cacheKeysAndValues)(const CachedAttention&, int64_t sequence);
  void (*cachedAttention)(const CachedAttention&, const CachedTask&, float* scratch);
  int64_t (*cachedAttentionScratch)(int64_t keys, int64_t headSize, int64_t group);
  /** Queries of a task. */
  int64_t block;
};

}  // namespace graft
