// What a kernel is, and arguments of the kernels of quantised weights, of experts and of gated DeltaNet layers.
#pragma once

#include <cstdint>

namespace graft {

/** Computes a part of the work: rows, elements or tasks [begin, end). */
template <typename Arguments>
using Kernel = void (*)(const Arguments&, int64_t begin, int64_t end);

/**
 * y: weights in NF4, two per byte, in blocks of 64: NF4[code] · (map[absmax] · nestedAbsmax + offset), with one nestedAbsmax for 256
 * blocks. The range is one of blocks.
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

/** y (N, H) = codes (N, H) · scales, for rows (N) or for columns (H). */
template <typename T>
struct UnpackInt8 {
  int64_t width;
  bool scaleOfRows;
  const int8_t* codes;
  const float* scales;
  T* y;
};

// A pair is a token and one of its `chosen` experts: pair p is of token p / chosen.

/** Pairs sorted by expert: those of expert e are pairs[starts[e]] to pairs[starts[e + 1] − 1], in the order of tokens. */
struct ExpertPairs {
  int64_t chosen;
  const int32_t* pairs;
  const int64_t* starts;
};

/** Outputs [begin, end) for the pairs of an expert. */
struct ExpertTask {
  int64_t expert, begin, end;
};

/**
 * y (pairs, outputs) = x · W[e]ᵀ with rows [first, first + outputs) of W (E, rows, inputs); or, reversed, x · W[e] with rows
 * [first, first + inputs) of W (E, rows, outputs). x has a row for each pair, or, if shared, for each token. W is either `w` or as it is
 * stored, with the same result as of a copy of T: in NF4, with rows of whole blocks, or in int8. Their y is not read.
 */
template <typename T>
struct ExpertProduct {
  ExpertPairs of;
  int64_t inputs, outputs, rows, first;
  bool reversed, shared;
  const T* x;
  const T* w;
  const UnpackNf4<float>* nf4;
  const UnpackInt8<float>* int8;
  T* y;
};

/** Outputs of a task of a product, and the floats of scratch memory of a thread that computes some. */
struct ExpertSizes {
  int64_t outputs, scratch;
};

/** dw (E, outputs, inputs): the sum over an expert's pairs of dy (pairs, outputs)ᵀ · x (pairs, or, if shared, tokens; inputs). */
template <typename T>
struct ExpertGradient {
  ExpertPairs of;
  int64_t inputs, outputs;
  bool shared;
  const T* dy;
  const T* x;
  float* dw;
};

/** Number of outputs of a task: a multiple of the rows of W that are multiplied at a time. */
constexpr int64_t kExpertOutputs = 48;
/** The same if it reads columns of a W as it is stored: whole blocks. */
constexpr int64_t kStoredOutputs = 64;
/** Number of an expert's pairs that are multiplied at a time. */
constexpr int64_t kExpertRows = 32;

/** A sequence's positions [begin, end) in row `row`, and a key head with its value heads. */
struct DeltaTask {
  int64_t begin, end, row, keyHead;
};

/**
 * The gated delta rule. A row of q or k holds all key heads, one of v or y all value heads; decay and rate (N, valueHeads). Each key head
 * serves `valueHeads / keyHeads` consecutive value heads. Source: Yang et al. 2024, arXiv:2412.06464.
 */
template <typename T>
struct DeltaRule {
  int64_t keyHeads, valueHeads, keySize, valueSize;
  const T* q;
  const T* k;
  const T* v;
  const float* decay;
  const float* rate;
  /** (N, valueHeads · valueSize); null in the backward pass. */
  T* y;
  /** (rows, valueHeads, keySize, valueSize): each row's state before its first position, and after its last one. Null: zeros. */
  const float* first;
  float* last;
  int64_t group() const { return valueHeads / keyHeads; }
};
template <typename T>
struct DeltaRuleGradient {
  DeltaRule<T> forward;
  const T* dy;
  T* dq;
  T* dk;
  T* dv;
  float* dDecay;
  float* dRate;
};

/**
 * y (N, W) = silu(Σ_d w[·, reach − 1 − d] · x[t − d]) of each channel, over the positions of t's segment. The range is one of blocks of
 * `kConvolutionColumns` channels.
 */
template <typename T>
struct CausalConvolution {
  int64_t rows, tokens, width, reach;
  const T* x;
  /** (W, reach) */
  const float* w;
  /** (rows · tokens): the segment of a position within its row; the outputs of segment 0 are 0. */
  const int32_t* segments;
  /** (rows, reach − 1, W): the inputs at the positions before each row; null: it starts a segment. */
  const float* before;
  /** Null in the backward pass. */
  T* y;
};
template <typename T>
struct CausalConvolutionGradient {
  CausalConvolution<T> forward;
  const T* dy;
  T* dx;
  /** (W, reach) */
  float* dw;
};

constexpr int64_t kConvolutionColumns = 64;
/** Largest number of positions that a convolution reads. */
constexpr int64_t kConvolutionReach = 64;

}  // namespace graft
