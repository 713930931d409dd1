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

}  // namespace
}  // namespace graft
