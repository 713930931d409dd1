// A convolution of each channel over the positions before, and SiLU, for a block of channels at a time.
#pragma once
#include "vector.h"

namespace graft {
namespace {

/** The weights of a block's channels by distance: (reach, kConvolutionColumns). */
struct Taps {
  float of[kConvolutionReach * kConvolutionColumns];
  template <typename T>
  Taps(const CausalConvolution<T>& a, int64_t from, int64_t count) {
    for (int64_t d = 0; d < a.reach; d++)
      for (int64_t j = 0; j < kConvolutionColumns; j++)
        of[d * kConvolutionColumns + j] = j < count ? a.w[(from + j) * a.reach + a.reach - 1 - d] : 0;
  }
};

/** The number of distances from 0 on at which position t of a row reads a position of the same segment in the row. */
template <typename T>
int64_t reachOf(const CausalConvolution<T>& a, int64_t row, int64_t t) {
  const int32_t* segments = a.segments + row * a.tokens;
  int64_t d = 1;
  while (d < a.reach && d <= t && segments[t - d] == segments[t]) d++;
  return d;
}

/** Σ_d taps[d] · x[t − d] of the channels from `column` on. */
template <typename T>
inline Vec convolved(const CausalConvolution<T>& a, const Taps& taps, int64_t row, int64_t t, int64_t reach, int64_t column,
                     int64_t j, int64_t n) {
  Vec sum = {};
  for (int64_t d = 0; d < reach; d++)
    sum += load(a.x + (row * a.tokens + t - d) * a.width + column, n) * load(taps.of + d * kConvolutionColumns + j);
  if (a.before && reach == t + 1)
    for (int64_t d = reach; d < a.reach; d++)
      sum += load(a.before + (row * (a.reach - 1) + a.reach - 1 + t - d) * a.width + column, n) *
             load(taps.of + d * kConvolutionColumns + j);
  return sum;
}

template <typename T>
void causalConvolution(const CausalConvolution<T>& a, int64_t begin, int64_t end) {
  for (int64_t block = begin; block < end; block++) {
    const int64_t from = block * kConvolutionColumns, count = least(kConvolutionColumns, a.width - from);
    const Taps taps(a, from, count);
    for (int64_t row = 0; row < a.rows; row++)
      for (int64_t t = 0; t < a.tokens; t++) {
        T* y = a.y + (row * a.tokens + t) * a.width + from;
        if (a.segments[row * a.tokens + t] == 0) {
          std::memset(y, 0, count * sizeof(T));
          continue;
        }
        const int64_t reach = reachOf(a, row, t);
        byVectors(count, [&](int64_t j, int64_t n) {
          const Vec sum = convolved(a, taps, row, t, reach, from + j, j, n);
          store(y + j, sum * sigmoid(sum), n);
        });
      }
  }
}

template <typename T>
void causalConvolutionGradient(const CausalConvolutionGradient<T>& g, int64_t begin, int64_t end) {
  const CausalConvolution<T>& a = g.forward;
  // Gradients of the inputs that later positions still add to, by position modulo reach; and of the weights, by distance.
  float open[kConvolutionReach * kConvolutionColumns], dTaps[kConvolutionReach * kConvolutionColumns];
  const auto openAt = [&](int64_t t) { return open + t % a.reach * kConvolutionColumns; };
  for (int64_t block = begin; block < end; block++) {
    const int64_t from = block * kConvolutionColumns, count = least(kConvolutionColumns, a.width - from);
    const Taps taps(a, from, count);
    std::memset(dTaps, 0, a.reach * kConvolutionColumns * sizeof(float));
    for (int64_t row = 0; row < a.rows; row++) {
      std::memset(open, 0, a.reach * kConvolutionColumns * sizeof(float));
      const auto close = [&](int64_t t) {
        T* dx = g.dx + (row * a.tokens + t) * a.width + from;
        byVectors(count, [&](int64_t j, int64_t n) { store(dx + j, load(openAt(t) + j), n); });
        std::memset(openAt(t), 0, kConvolutionColumns * sizeof(float));
      };
      for (int64_t t = 0; t < a.tokens; t++) {
        if (t >= a.reach) close(t - a.reach);
        if (a.segments[row * a.tokens + t] == 0) continue;
        const int64_t reach = reachOf(a, row, t), at = (row * a.tokens + t) * a.width + from;
        byVectors(count, [&](int64_t j, int64_t n) {
          const Vec sum = convolved(a, taps, row, t, reach, from + j, j, n), share = sigmoid(sum);
          const Vec d = load(g.dy + at + j, n) * share * (sum * (1.0f - share) + 1.0f);
          for (int64_t i = 0; i < reach; i++) {
            float *input = openAt(t - i) + j, *weight = dTaps + i * kConvolutionColumns + j;
            store(input, load(input) + d * load(taps.of + i * kConvolutionColumns + j));
            store(weight, load(weight) + d * load(a.x + at - i * a.width + j, n));
          }
        });
      }
      for (int64_t t = most(0, a.tokens - a.reach); t < a.tokens; t++) close(t);
    }
    for (int64_t j = 0; j < count; j++)
      for (int64_t d = 0; d < a.reach; d++) g.dw[(from + j) * a.reach + a.reach - 1 - d] = dTaps[d * kConvolutionColumns + j];
  }
}

}  // namespace
}  // namespace graft
