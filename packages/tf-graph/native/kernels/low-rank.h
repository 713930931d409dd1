#pragma once
#include "vector.h"

namespace graft {
namespace {

/** Rows [begin, end), four at a time, so that a vector of m is read once for four. */
template <typename T>
void lowRankAdd(const LowRankAdd<T>& a, int64_t begin, int64_t end) {
  constexpr int kRows = 4;
  for (int64_t p = 0; p < a.count; p++) {
    const LowRankPart& part = a.parts[p];
    for (int64_t n = begin; n < end; n += kRows) {
      const int64_t rows = least(kRows, end - n);
      const float* down = a.down + n * a.lanes + part.lane;
      T* y = a.y + n * a.width + part.offset;
      byVectors(part.out, [&](int64_t i, int64_t count) {
        Vec sums[kRows];
        for (int64_t row = 0; row < rows; row++) sums[row] = load(y + row * a.width + i, count);
        for (int64_t r = 0; r < part.rank; r++) {
          const Vec m = load(part.m + r * part.out + i, count);
          for (int64_t row = 0; row < rows; row++) sums[row] += down[row * a.lanes + r] * m;
        }
        for (int64_t row = 0; row < rows; row++) store(y + row * a.width + i, sums[row], count);
      });
    }
  }
}

/** Rows [begin, end), four at a time. */
template <typename T>
void lowRankDown(const LowRankDown<T>& a, int64_t begin, int64_t end) {
  constexpr int kRows = 4;
  for (int64_t p = 0; p < a.count; p++) {
    const LowRankPart& part = a.parts[p];
    for (int64_t n = begin; n < end; n += kRows) {
      const int64_t rows = least(kRows, end - n);
      const T* x = a.x + n * a.width + part.offset;
      for (int64_t r = 0; r < part.rank; r++) {
        Vec sums[kRows] = {};
        byVectors(part.out, [&](int64_t i, int64_t count) {
          const Vec m = load(part.m + r * part.out + i, count);
          for (int64_t row = 0; row < rows; row++) sums[row] += load(x + row * a.width + i, count) * m;
        });
        for (int64_t row = 0; row < rows; row++)
          a.down[(n + row) * a.lanes + part.lane + r] = sumOf(sums[row]) * part.scale;
      }
    }
  }
}

}  // namespace
}  // namespace graft
