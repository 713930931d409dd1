#pragma once
#include "vector.h"

namespace graft {
namespace {

inline float valueOf(float x) { return x; }
inline float valueOf(Bfloat16 x) { return bitsOf<float>(static_cast<uint32_t>(x.bits) << 16); }

/** Whether the label is the argmax: of several largest logits the first. */
template <typename T>
inline bool isFirst(const T* logits, int64_t label, float largest) {
  for (int64_t i = 0; i < label; i++)
    if (valueOf(logits[i]) == largest) return false;
  return true;
}

/** Rows [begin, end). A label outside the classes counts as a logit of NaN: the step then fails because its loss is not finite. */
template <typename T>
void crossEntropy(const CrossEntropy<T>& a, int64_t begin, int64_t end) {
  const int64_t V = a.classes;
  for (int64_t n = begin; n < end; n++) {
    const T* logits = a.logits + n * V;
    const int32_t label = a.labels[n];
    const float own = label >= 0 && label < V ? valueOf(logits[label]) : __builtin_nanf("");
    // The largest, and whether any is NaN: comparisons alone would ignore a NaN.
    Vec largest = all(-__builtin_inff());
    Vec tainted = {};
    byVectors(V, [&](int64_t i, int64_t count) {
      const Vec v = load(logits + i, count);
      largest = larger(largest, only(v, 0, count, -__builtin_inff()));
      tainted += v * 0.0f;
    });
    const float top = largestOf(largest);
    Vec sums = {};
    byVectors(V, [&](int64_t i, int64_t count) {
      sums += only(exponential(load(logits + i, count) - top), 0, count);
    });
    const float logSum = top + __builtin_logf(sumOf(sums)) + sumOf(tainted);
    a.losses[n] = logSum - own;
    a.correct[n] = own >= top && isFirst(logits, label, top) ? 1.0f : 0.0f;
    if (a.gradient == nullptr) continue;
    T* gradient = a.gradient + n * V;
    const float scale = a.scales[n];
    const float ownGradient = (__builtin_expf(own - logSum) - 1.0f) * scale;
    byVectors(V, [&](int64_t i, int64_t count) {
      Vec g = exponential(load(logits + i, count) - logSum) * scale;
      if (label >= i && label < i + count) g[label - i] = ownGradient;
      store(gradient + i, g, count);
    });
  }
}

}  // namespace
}  // namespace graft
