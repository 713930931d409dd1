#pragma once
#include "vector.h"

namespace graft {
namespace {

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
