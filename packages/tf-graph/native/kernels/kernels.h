// What the kernels take, and the table of them that each instruction set has. Plain pointers and sizes: nothing of TensorFlow,
// so that the loops compile in a moment for every instruction set. Matrices are row-major. T is float or Bfloat16, how what
// flows between matrix products is stored; sums, statistics and the residual stream are float32.
#pragma once

#include <cstdint>

#include "kernel.h"
#include "serving-kernels.h"

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

/** x (N, H), w and b (H); mean and inverse (N), 1/√(variance + ε), of each row. Source: Ba et al. 2016, arXiv:1607.06450. */
template <typename T>
struct LayerNorm {
  int64_t width;
  float epsilon;
  const float* x;
  const float* w;
  const float* b;
  T* y;
  float* mean;
  float* inverse;
};
template <typename T>
struct LayerNormGradient {
  int64_t width;
  const T* dy;
  const float* x;
  const float* w;
  const float* mean;
  const float* inverse;
  float* dx;
};

/** Elementwise functions, by the names that ops have for them. */
enum class Curve { relu, leakyRelu, gelu, geluTanh, quickGelu, silu, tanh, sigmoid };

template <typename T>
struct Activation {
  Curve curve;
  const T* x;
  T* y;
};
template <typename T>
struct ActivationGradient {
  Curve curve;
  const T* dy;
  const T* x;
  T* dx;
};

/** y (N, I) = curve(gate) · up; rows of gate and up lie `stride` apart, so that they may be halves of one matrix. */
template <typename T>
struct GatedProduct {
  Curve curve;
  int64_t width;
  int64_t stride;
  const T* gate;
  const T* up;
  T* y;
};
template <typename T>
struct GatedProductGradient {
  Curve curve;
  int64_t width;
  int64_t stride;
  const T* dy;
  const T* gate;
  const T* up;
  T* dGate;
  T* dUp;
};

/** y (N, W) = x + bias (W); y may be x. */
template <typename T>
struct BiasAdd {
  int64_t width;
  const float* bias;
  const T* x;
  T* y;
};

/** y (N, W) = x · factors (W). */
template <typename T>
struct ScaleColumns {
  int64_t width;
  const float* factors;
  const T* x;
  T* y;
};
template <typename T>
struct ScaleColumnsGradient {
  int64_t rows, width;
  const T* dy;
  const T* x;
  const float* factors;
  T* dx;
  float* dFactors;
};

/** Nothing is dropped with probability 0. The seed is two numbers. */
struct Dropout {
  float probability = 0;
  const int32_t* seed = nullptr;
};
/** y (n) = x (n) · mask (n): 0 where dropped, else 1/(1 − p). */
template <typename T>
struct DropoutOf {
  Dropout dropout;
  const T* x;
  T* y;
};

/**
 * One sequence's own positions [begin, end), and those of the prefix that it shares, which come before them. Of a cross
 * attention the prefix is all its keys, and lies among the positions of its memory.
 */
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
  /** Keys and values are a memory's, not the segments' own. */
  bool cross;
  /** Positions that a token sees, itself included; 0 without a limit. */
  int64_t window;
  /** Positions of the queries, and of the keys. */
  int64_t rows, keyRows;
  int64_t qStride, kStride, vStride;
  const T* q;
  const T* k;
  const T* v;
  const float* cosines;
  const float* sines;
  const Segment* segments;
  /** Of the probabilities, (heads, rows, keyRows). */
  Dropout dropout;
  /**
   * (2 · reach + 1, heads), added to the scores by how much later than its query a key is: from −reach to reach, and the ends'
   * beyond. Absent without.
   */
  const float* bias;
  int64_t reach;
  /** (N, heads · headSize). */
  T* y;
  /** (N, heads): logarithm of each softmax's denominator. */
  float* logSums;
  int64_t keysOf(const Segment& s) const { return s.prefix() + (cross ? 0 : s.own()); }
};
template <typename T>
struct AttentionGradient {
  Attention<T> forward;
  const T* dy;
  T* dq;
  T* dk;
  T* dv;
  /** Like `bias`, overwritten; absent without. */
  float* dBias;
  /**
   * Gradients of keys, then of values, by key head: of a segment's own, (kvHeads, 2, own, padded head), from `ownSlots[segment]` on; of the
   * prefix that it reads, (kvHeads, 2, prefix, padded head), from `prefixSlots[segment]` on. Segments of one task add to one prefix slot, of
   * which `opensSlot` marks the first.
   */
  float* keyGradients;
  const int64_t* ownSlots;
  const int64_t* prefixSlots;
  const uint8_t* opensSlot;
  /** Of the bias, by head: (heads, `biasGradientWidth`) for each segment, from `biasSlots[segment]` on. */
  float* biasGradients;
  const int64_t* biasSlots;
  int64_t segmentCount;
};

/** y (N, W)'s columns from `offset` on += down (N, R)'s columns from `lane` on · m (rank, out). */
struct LowRankPart {
  int64_t offset, out, lane, rank;
  const float* m;
  float scale = 1;
  /** Of what is added, (N, out). */
  Dropout dropout = {};
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
 * norms (out) of the rows of W (out, in) + scale · B (out, rank) · A (rank, in). Transposed: of the columns of W (in, out), with B
 * as (rank, out).
 */
template <typename T>
struct UpdatedNorms {
  int64_t out, width, rank;
  float scale;
  bool transposed;
  const T* w;
  const float* a;
  const float* b;
  float* norms;
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

template <typename T>
struct KernelsOf {
  Kernel<RmsNorm<T>> rmsNorm;
  Kernel<RmsNormGradient<T>> rmsNormGradient;
  Kernel<LayerNorm<T>> layerNorm;
  Kernel<LayerNormGradient<T>> layerNormGradient;
  Kernel<ResidualAdd<T>> residualAdd;
  Kernel<Activation<T>> activation;
  Kernel<ActivationGradient<T>> activationGradient;
  Kernel<GatedProduct<T>> gatedProduct;
  Kernel<GatedProductGradient<T>> gatedProductGradient;
  Kernel<BiasAdd<T>> biasAdd;
  Kernel<ScaleColumns<T>> scaleColumns;
  Kernel<ScaleColumnsGradient<T>> scaleColumnsGradient;
  Kernel<DropoutOf<T>> dropout;
  /** Tasks are segments × key heads; `scratch` has room for `attentionScratch` numbers. */
  void (*attention)(const Attention<T>&, int64_t task, float* scratch);
  void (*attentionGradient)(const AttentionGradient<T>&, int64_t task, float* scratch);
  /** After all of attentionGradient's tasks: gradients of keys and values with what the segments that share them add. */
  void (*attentionKeyGradient)(const AttentionGradient<T>&, int64_t task);
  /** The same of the bias; a task is a head. */
  void (*attentionBiasGradient)(const AttentionGradient<T>&, int64_t head);
  Kernel<LowRankAdd<T>> lowRankAdd;
  Kernel<LowRankDown<T>> lowRankDown;
  Kernel<UpdatedNorms<T>> updatedNorms;
  Kernel<CrossEntropy<T>> crossEntropy;
  Kernel<UnpackNf4<T>> unpackNf4;
  Kernel<UnpackInt8<T>> unpackInt8;
};

struct Kernels {
  /** Of the instruction set, as a job's requirements name it. */
  const char* name;
  KernelsOf<float> fp32;
  KernelsOf<Bfloat16> bf16;
  Kernel<ScatterRows> scatterRows;
  /** Floats of scratch that a task of attention of `own` positions over `keys` needs, and with its gradient. */
  int64_t (*attentionScratch)(int64_t own, int64_t keys, int64_t headSize, int64_t group, bool gradient);
  /** Floats of one position's key and value gradients in `keyGradients`, for one key head. */
  int64_t (*keyGradientWidth)(int64_t headSize);
  /** Floats of one head's gradients in `biasGradients`. */
  int64_t (*biasGradientWidth)(int64_t own, int64_t keys);
  /** Whether what this set has beyond the one that comes after it makes it faster on this processor. */
  bool (*isFaster)();
  ServingKernels serving;
};

/** The best that this processor has. */
const Kernels& kernels();

template <typename T>
const KernelsOf<T>& kernelsOf();

}  // namespace graft
