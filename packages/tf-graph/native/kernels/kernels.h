// Arguments of the kernels, and the table of kernels that each instruction set has. Plain pointers and sizes without TensorFlow, so that
// the loops compile quickly for every instruction set. Matrices are row-major. T is float or Bfloat16, the storage type of activations
// between matrix products; sums, statistics and the residual stream are float32.
#pragma once

#include <cstdint>

#include "layer-kernels.h"
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

/** Elementwise functions, by their names in ops. */
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

/** y (N, I) = curve(gate) · up; rows of gate and up are `stride` apart, so that they may be halves of one matrix. */
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

/** With probability 0 nothing is dropped. The seed is two numbers. */
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
 * A sequence's own positions [begin, end), and those of the prefix that it shares, which precede them. If that prefix itself follows a
 * shared prefix, that is the outer one, and the other the inner one; a single prefix is an outer one. In cross attention all keys are in the
 * outer prefix, which is a range of the memory's positions.
 */
struct Segment {
  int64_t begin, end;
  int64_t outerBegin = 0, outerEnd = 0;
  int64_t innerBegin = 0, innerEnd = 0;
  int64_t own() const { return end - begin; }
  int64_t outer() const { return outerEnd - outerBegin; }
  int64_t inner() const { return innerEnd - innerBegin; }
  /** Number of shared positions before its own. */
  int64_t prefix() const { return outer() + inner(); }
};

/**
 * Softmax attention within segments. A row of q, k or v holds all its heads; rows are `stride` apart. With cosines and sines (N, half), q
 * and k are rotated first, the numbers d and d + half of a head together; q is multiplied by `scale`.
 */
template <typename T>
struct Attention {
  int64_t heads, kvHeads, headSize;
  /** Half of the rotated numbers of a head; 0 without rotation. */
  int64_t half;
  float scale;
  bool causal;
  /** Keys and values come from a memory, not from the segments. */
  bool cross;
  /** Number of positions that a token attends to, including itself; 0 without a limit. */
  int64_t window;
  /** Number of positions of the queries, and of the keys. */
  int64_t rows, keyRows;
  int64_t qStride, kStride, vStride;
  const T* q;
  const T* k;
  const T* v;
  const float* cosines;
  const float* sines;
  const Segment* segments;
  /** Dropout of the probabilities, (heads, rows, keyRows). */
  Dropout dropout;
  /**
   * (2 · reach + 1, heads), added to the scores: the row is by how many positions the key is after its query, clamped to −reach …
   * reach. Null without bias.
   */
  const float* bias;
  int64_t reach;
  /** (heads): a score for each head that its softmax counts and no value follows. Null without. The gradient needs only `logSums`. */
  const float* sinks;
  /** (N, heads · headSize). */
  T* y;
  /** (N, heads): logarithm of each softmax's denominator, the sink's share included. */
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
  /** Like `bias`, overwritten; null without bias. */
  float* dBias;
  /**
   * Gradients of keys, then of values, by key head: those of a segment's own positions, (kvHeads, 2, own, padded head), from
   * `slots[segment].own` on; those of the prefixes that it reads, of the same shape, from `.outer` and `.inner` on. Segments of one task
   * share the slot of a prefix; the first of them opens it.
   */
  struct Slots {
    int64_t own, outer, inner;
    bool opensOuter, opensInner;
  };
  float* keyGradients;
  const Slots* slots;
  /** Gradients of the bias by head: (heads, `biasGradientWidth`) for each segment, from `biasSlots[segment]` on. */
  float* biasGradients;
  const int64_t* biasSlots;
  int64_t segmentCount;
};

/** y (N, W)'s columns from `offset` on += down (N, R)'s columns from `lane` on · m (rank, out). */
struct LowRankPart {
  int64_t offset, out, lane, rank;
  const float* m;
  float scale = 1;
  /** Dropout of the added values, (N, out). */
  Dropout dropout = {};
};
template <typename T>
struct LowRankAdd {
  int64_t width, lanes, count;
  const LowRankPart* parts;
  const float* down;
  /** Updated in place. */
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
 * norms (out): norms of the rows of W (out, in) + scale · B (out, rank) · A (rank, in). If transposed: of the columns of W (in, out), with
 * B as (rank, out).
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
 * Cross entropy of logits (K, V) with labels (K): losses, whether the label is the most probable class, and the gradient (K, V) of the
 * losses times `scales`, which may overwrite the logits.
 */
template <typename T>
struct CrossEntropy {
  int64_t classes;
  const T* logits;
  const int32_t* labels;
  const float* scales;
  float* losses;
  float* correct;
  /** Null if no gradient is needed. */
  T* gradient;
};

/**
 * y (rows, out) = x (rows, in) · Wᵀ with W (out, in) as it is stored: each row in the same order, alone or in a batch, and equal to the
 * product with the unpacked W. Stored is Bfloat16Matrix, UnpackInt8<float> or UnpackNf4<float>, whose y is not read. With NF4, `in` is a
 * multiple of 64. The range is one of columns of y; `panel` holds `storedProductScratch` floats.
 */
template <typename Stored>
struct StoredProduct {
  int64_t rows, in, out;
  const float* x;
  Stored w;
  float* y;
};
struct Bfloat16Matrix {
  const Bfloat16* values;
};
template <typename Stored>
using StoredProductKernel = void (*)(const StoredProduct<Stored>&, int64_t begin, int64_t end, float* panel);

/** Kernels of products with stored matrices, for serving. */
struct StoredProductKernels {
  StoredProductKernel<Bfloat16Matrix> bfloat16;
  StoredProductKernel<UnpackInt8<float>> int8;
  StoredProductKernel<UnpackNf4<float>> nf4;
  int64_t (*scratch)(int64_t in);
};

/** out (N, H): zeros, plus row k of values (K, H) added to row index[k]. The range is one of columns of out. */
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
  /** Tasks are segments × key heads; `scratch` holds `attentionScratch` floats. */
  void (*attention)(const Attention<T>&, int64_t task, float* scratch);
  void (*attentionGradient)(const AttentionGradient<T>&, int64_t task, float* scratch);
  /** After all tasks of attentionGradient: adds the gradients from segments that share keys and values, and stores the sums. */
  void (*attentionKeyGradient)(const AttentionGradient<T>&, int64_t task);
  /** After all tasks of attentionGradient: sums the gradients of the bias; a task is a head. */
  void (*attentionBiasGradient)(const AttentionGradient<T>&, int64_t head);
  Kernel<LowRankAdd<T>> lowRankAdd;
  Kernel<LowRankDown<T>> lowRankDown;
  Kernel<UpdatedNorms<T>> updatedNorms;
  Kernel<CrossEntropy<T>> crossEntropy;
  Kernel<UnpackNf4<T>> unpackNf4;
  Kernel<UnpackInt8<T>> unpackInt8;
  ExpertSizes (*expertSizes)(const ExpertProduct<T>&);
  void (*expertProduct)(const ExpertProduct<T>&, const ExpertTask&, float* scratch);
  void (*expertGradient)(const ExpertGradient<T>&, const ExpertTask&, float* scratch);
  void (*deltaRule)(const DeltaRule<T>&, const DeltaTask&, float* scratch);
  void (*deltaRuleGradient)(const DeltaRuleGradient<T>&, const DeltaTask&, float* scratch);
  Kernel<CausalConvolution<T>> causalConvolution;
  Kernel<CausalConvolutionGradient<T>> causalConvolutionGradient;
};

struct Kernels {
  /** Name of the instruction set in a job's requirements. */
  const char* name;
  KernelsOf<float> fp32;
  KernelsOf<Bfloat16> bf16;
  Kernel<ScatterRows> scatterRows;
  /** Floats of scratch memory for an attention task with `own` positions and `keys` keys, with or without its gradient. */
  int64_t (*attentionScratch)(int64_t own, int64_t keys, int64_t headSize, int64_t group, bool gradient);
  /** Floats of one position's key and value gradients in `keyGradients`, for one key head. */
  int64_t (*keyGradientWidth)(int64_t headSize);
  /** Floats of one head's gradients in `biasGradients`. */
  int64_t (*biasGradientWidth)(int64_t own, int64_t keys);
  /** Floats of scratch memory for a delta rule over `positions` positions, with or without its gradient. */
  int64_t (*deltaScratch)(int64_t positions, int64_t keySize, int64_t valueSize, int64_t group, bool gradient);
  /** Whether the instructions that this set has beyond the next one make it faster on this CPU. */
  bool (*isFaster)();
  ServingKernels serving;
  StoredProductKernels storedProducts;
  IntegerProductKernels integerProducts;
};

/** The set selected by graft_use_kernels. */
const Kernels& kernels();

template <typename T>
const KernelsOf<T>& kernelsOf();

}  // namespace graft
