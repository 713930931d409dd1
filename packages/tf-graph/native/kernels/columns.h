// Operations with one number for each column of a matrix.
#pragma once
#include "vector.h"

namespace graft {
namespace {

/** Rows [begin, end). */
template <typename T>
void biasAdd(const BiasAdd<T>& a, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; n++) {
    const int64_t row = n * a.width;
    byVectors(a.width, [&](int64_t i, int64_t count) {
      store(a.y + row + i, load(a.x + row + i, count) + load(a.bias + i, count), count);
    });
  }
}

template <typename T>
void scaleColumns(const ScaleColumns<T>& a, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; n++) {
    const int64_t row = n * a.width;
    byVectors(a.width, [&](int64_t i, int64_t count) {
      store(a.y + row + i, load(a.x + row + i, count) * load(a.factors + i, count), count);
    });
  }
}

/** Columns [begin, end), each summed over the rows in order. */
template <typename T>
void scaleColumnsGradient(const ScaleColumnsGradient<T>& a, int64_t begin, int64_t end) {
  byVectors(end - begin, [&](int64_t i, int64_t count) {
    const int64_t column = begin + i;
    const Vec factors = load(a.factors + column, count);
    Vec sums = {};
    for (int64_t n = 0; n < a.rows; n++) {
      const int64_t at = n * a.width + column;
      const Vec dy = load(a.dy + at, count);
      sums += dy * load(a.x + at, count);
      store(a.dx + at, dy * factors, count);
    }
    store(a.dFactors + column, sums, count);
  });
}

/** Columns [begin, end), in the order of the index, so that sums do not depend on the distribution over threads. */
void scatterRows(const ScatterRows& a, int64_t begin, int64_t end) {
  const int64_t H = a.width;
  for (int64_t n = 0; n < a.rows; n++) std::memset(a.out + n * H + begin, 0, (end - begin) * sizeof(float));
  for (int64_t k = 0; k < a.count; k++) {
    const float* values = a.values + k * H + begin;
    float* row = a.out + a.index[k] * H + begin;
    byVectors(end - begin, [&](int64_t i, int64_t count) {
      store(row + i, load(row + i, count) + load(values + i, count), count);
    });
  }
}

}  // namespace
}  // namespace graft
