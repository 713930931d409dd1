#pragma once
#include "vector.h"

namespace graft {
namespace {

template <typename T>
void gatedSilu(const GatedSilu<T>& a, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; n++) {
    const T* gate = a.gate + n * a.stride;
    const T* up = a.up + n * a.stride;
    T* y = a.y + n * a.width;
    byVectors(a.width, [&](int64_t i, int64_t count) {
      const Vec g = load(gate + i, count);
      store(y + i, g * sigmoid(g) * load(up + i, count), count);
    });
  }
}

template <typename T>
void gatedSiluGradient(const GatedSiluGradient<T>& a, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; n++) {
    const int64_t row = n * a.stride;
    const T* dy = a.dy + n * a.width;
    byVectors(a.width, [&](int64_t i, int64_t count) {
      const Vec g = load(a.gate + row + i, count);
      const Vec d = load(dy + i, count);
      const Vec s = sigmoid(g);
      const Vec silu = g * s;
      // d silu/d gate = s + silu · (1 − s)
      const Vec dGate = d * load(a.up + row + i, count) * (s + silu * (1.0f - s));
      store(a.dGate + row + i, dGate, count);
      store(a.dUp + row + i, d * silu, count);
    });
  }
}

}  // namespace
}  // namespace graft
