// Arguments of the kernels of gated DeltaNet layers: the delta rule, and the convolution before it.
#pragma once

#include <cstdint>

namespace graft {

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
