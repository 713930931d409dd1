// What the kernels take, and the table of them that each instruction set has. Plain pointers and sizes: nothing of TensorFlow,
// so that the loops compile in a moment for every instruction set. Matrices are row-major. T is float or Bfloat16, how what
// flows between matrix products is stored; sums, statistics and the residual stream are float32.
#pragma once

#include <cstdint>

namespace graft {

struct Bfloat16 {
  uint16_t bits;
};

/** x (N, H), w (H), inverse (N): 1/√(mean(x²) + ε) of each row. Source: Zhang and Sennrich 2019, arXiv:1910.07467. */
template <typename T>
struct RmsNorm {
  int64_t width;
  float epsilon;
  const float* x;
  const float* w;
  T* y;
  float* inverse;
};
template <typename T>
struct RmsNormGradient {
  int64_t width;
  const T* dy;
  const float* x;
  const float* w;
  const float* inverse;
  float* dx;
};

/** sum (n) = stream (n) + output (n). */
template <typename T>
struct ResidualAdd {
  const float* stream;
  const T* output;
  float* sum;
};

/** y (N, I) = silu(gate) · up; rows of gate and up lie `stride` apart, so that they may be halves of one matrix. */
template <typename T>
struct GatedSilu {
  int64_t width;
  int64_t stride;
  const T* gate;
  const T* up;
  T* y;
};
template <typename T>
struct GatedSiluGradient {
  int64_t width;
  int64_t stride;
  const T* dy;
  const T* gate;
  const T* up;
  T* dGate;
  T* dUp;
};

/** One sequence's own positions [begin, end), and those of the prefix that it shares, which come before them. */
struct Segment {
  int64_t begin, end;
  int64_t prefixBegin, prefixEnd;
  int64_t own() const { return end - begin; }
  int64_t prefix() const { return prefixEnd - prefixBegin; }
};

/**
 * Softmax attention within segments. A row of q, k or v holds all its heads; rows lie `stride` apart. With cosines and sines
 * (N, half), q and k are rotated first, the numbers d and d + half of a head together; `scale` goes to q.
 */
template <typename T>
struct Attention {
  int64_t heads, kvHeads, headSize;
  /** Of the rotated numbers of a head; 0 without rotation. */
  int64_t half;
  float scale;
  bool causal;
  /** Positions that a token sees, itself included; 0 without a limit. */
  int64_t window;
  int64_t qStride, kStride, vStride;
  const T* q;
  const T* k;
  const T* v;
  const float* cosines;
  const float* sines;
  const Segment* segments;
  /** (N, heads · headSize). */
  T* y;
  /** (N, heads): logarithm of each softmax's denominator. */
  float* logSums;
};
template <typename T>
struct AttentionGradient {
  Attention<T> forward;
  const T* dy;
  T* dq;
  T* dk;
  T* dv;
  /**
   * Of the keys and values, by key head: (kvHeads, own + prefix, 2 · padded head) for each segment, from `keySlots[segment]` on.
   */
  float* keyGradients;
  const int64_t* keySlots;
  int64_t segmentCount;
};

/** y (N, W)'s columns from `offset` on += down (N, R)'s columns from `lane` on · m (rank, out). */
struct LowRankPart {
  int64_t offset, out, lane, rank;
  const float* m;
  float scale = 1;
};
template <typename T>
struct LowRankAdd {
  int64_t width, lanes, count;
  const LowRankPart* parts;
  const float* down;
  /** Overwritten. */
  T* y;
};

/** down (N, R)'s columns from `lane` on = scale · x (N, W)'s columns from `offset` on · mᵀ (out, rank). */
template <typename T>
struct LowRankDown {
  int64_t width, lanes, count;
  const LowRankPart* parts;
  const T* x;
  float* down;
};

/**
 * Cross entropy of logits (K, V) with labels (K): losses, whether the label is the most probable, and `scales` · the losses'
 * gradient (K, V), which may overwrite the logits.
 */
template <typename T>
struct CrossEntropy {
  int64_t classes;
  const T* logits;
  const int32_t* labels;
  const float* scales;
  float* losses;
  float* correct;
  /** Absent where no gradient is wanted. */
  T* gradient;
};

/**
 * y: weights in NF4, two a byte, in blocks of 64: NF4[code] · (map[absmax] · nestedAbsmax + offset), a nested one for 256 blocks.
 * Works on blocks.
 */
template <typename T>
struct UnpackNf4 {
  int64_t size;
  const uint8_t* codes;
  const uint8_t* absmax;
  const float* nestedAbsmax;
  const float* map;
  float offset;
  T* y;
};

/** y (N, H) = codes (N, H) · scales, of rows (N) or of columns (H). */
template <typename T>
struct UnpackInt8 {
  int64_t width;
  bool scaleOfRows;
  const int8_t* codes;
  const float* scales;
  T* y;
};

/** out (N, H): zeros, and to row index[k] is added row k of values (K, H). Columns [begin, end) of it. */
struct ScatterRows {
  int64_t count, rows, width;
  const float* values;
  const int32_t* index;
  float* out;
};

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

/** Each does its part of the work: rows, elements or tasks [begin, end). */
template <typename Arguments>
using Kernel = void (*)(const Arguments&, int64_t begin, int64_t end);

template <typename T>
struct KernelsOf {
  Kernel<RmsNorm<T>> rmsNorm;
  Kernel<RmsNormGradient<T>> rmsNormGradient;
  Kernel<ResidualAdd<T>> residualAdd;
  Kernel<GatedSilu<T>> gatedSilu;
  Kernel<GatedSiluGradient<T>> gatedSiluGradient;
  /** Tasks are segments × key heads; `scratch` has room for `attentionScratch` numbers. */
  void (*attention)(const Attention<T>&, int64_t task, float* scratch);
  void (*attentionGradient)(const AttentionGradient<T>&, int64_t task, float* scratch);
  /** After all of attentionGradient's tasks: gradients of keys and values with what the segments that share them add. */
  void (*attentionKeyGradient)(const AttentionGradient<T>&, int64_t task);
  Kernel<LowRankAdd<T>> lowRankAdd;
  Kernel<LowRankDown<T>> lowRankDown;
  Kernel<CrossEntropy<T>> crossEntropy;
  Kernel<UnpackNf4<T>> unpackNf4;
  Kernel<UnpackInt8<T>> unpackInt8;
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

struct Kernels {
  /** Of the instruction set, as a job's requirements name it. */
  const char* name;
  KernelsOf<float> fp32;
  KernelsOf<Bfloat16> bf16;
  Kernel<ScatterRows> scatterRows;
  /** Floats of scratch that a task of attention over `keys` positions needs, and with its gradient. */
  int64_t (*attentionScratch)(int64_t keys, int64_t headSize, int64_t group, bool gradient);
  /** Floats of one position's key and value gradients in `keyGradients`. */
  int64_t (*keyGradientWidth)(int64_t headSize);
  /** Whether what this set has beyond the one that comes after it makes it faster on this processor. */
  bool (*isFaster)();
  ServingKernels serving;
};

/** The best that this processor has. */
const Kernels& kernels();

template <typename T>
const KernelsOf<T>& kernelsOf();

}  // namespace graft
