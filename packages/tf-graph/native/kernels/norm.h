#pragma once
#include "vector.h"

namespace graft {
namespace {

template <typename T>
void rmsNorm(const RmsNorm<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.width;
  for (int64_t n = begin; n < end; n++) {
    const float* x = a.x + n * H;
    T* y = a.y + n * H;
    Vec squares = {};
    byVectors(H, [&](int64_t i, int64_t count) {
      const Vec v = load(x + i, count);
      squares += v * v;
    });
    const float inverse = 1.0f / __builtin_sqrtf(sumOf(squares) / H + a.epsilon);
    a.inverse[n] = inverse;
    byVectors(H, [&](int64_t i, int64_t count) {
      store(y + i, load(x + i, count) * inverse * load(a.w + i, count), count);
    });
  }
}

template <typename T>
void rmsNormGradient(const RmsNormGradient<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.width;
  for (int64_t n = begin; n < end; n++) {
    const float* x = a.x + n * H;
    const T* dy = a.dy + n * H;
    float* dx = a.dx + n * H;
    const float inverse = a.inverse[n];
    Vec products = {};
    byVectors(H, [&](int64_t i, int64_t count) {
      products += load(dy + i, count) * load(a.w + i, count) * load(x + i, count);
    });
    const float projection = sumOf(products) * inverse * inverse / H;
    byVectors(H, [&](int64_t i, int64_t count) {
      const Vec dNormed = load(dy + i, count) * load(a.w + i, count);
      store(dx + i, (dNormed - load(x + i, count) * projection) * inverse, count);
    });
  }
}

template <typename T>
void layerNorm(const LayerNorm<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.width;
  for (int64_t n = begin; n < end; n++) {
    const float* x = a.x + n * H;
    T* y = a.y + n * H;
    Vec sum = {};
    byVectors(H, [&](int64_t i, int64_t count) { sum += load(x + i, count); });
    const float mean = sumOf(sum) / H;
    Vec squares = {};
    byVectors(H, [&](int64_t i, int64_t count) {
      const Vec v = only(load(x + i, count) - mean, 0, count);
      squares += v * v;
    });
    const float inverse = 1.0f / __builtin_sqrtf(sumOf(squares) / H + a.epsilon);
    a.mean[n] = mean;
    a.inverse[n] = inverse;
    byVectors(H, [&](int64_t i, int64_t count) {
      store(y + i, (load(x + i, count) - mean) * inverse * load(a.w + i, count) + load(a.b + i, count), count);
    });
  }
}

template <typename T>
void layerNormGradient(const LayerNormGradient<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.width;
  for (int64_t n = begin; n < end; n++) {
    const float* x = a.x + n * H;
    const T* dy = a.dy + n * H;
    float* dx = a.dx + n * H;
    const float mean = a.mean[n], inverse = a.inverse[n];
    Vec sum = {}, products = {};
    byVectors(H, [&](int64_t i, int64_t count) {
      const Vec dNormed = load(dy + i, count) * load(a.w + i, count);
      sum += dNormed;
      products += dNormed * (load(x + i, count) - mean);
    });
    const float average = sumOf(sum) / H, projection = sumOf(products) * inverse * inverse / H;
    byVectors(H, [&](int64_t i, int64_t count) {
      const Vec dNormed = load(dy + i, count) * load(a.w + i, count);
      store(dx + i, (dNormed - average - (load(x + i, count) - mean) * projection) * inverse, count);
    });
  }
}

/** Elements [begin, end). */
template <typename T>
void residualAdd(const ResidualAdd<T>& a, int64_t begin, int64_t end) {
  byVectors(end - begin, [&](int64_t i, int64_t count) {
    const int64_t at = begin + i;
    store(a.sum + at, load(a.stream + at, count) + load(a.output + at, count), count);
  });
}

}  // namespace
}  // namespace graft
