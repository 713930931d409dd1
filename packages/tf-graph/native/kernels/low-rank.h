#pragma once
#include "random.h"
#include "row-products.h"

namespace graft {
namespace {

/** Rows for which a vector of a factor is loaded once. */
constexpr int kRows = 4;

/** As lowRankAdd, for a part with dropout. The mask's rows are as long as the part's. */
template <typename T>
void lowRankAddDropped(const LowRankAdd<T>& a, const LowRankPart& part, int64_t begin, int64_t end) {
  const DropoutMask draws(part.dropout);
  float mask[kMaskPiece];
  for (int64_t n = begin; n < end; n++) {
    const float* down = a.down + n * a.lanes + part.lane;
    T* y = a.y + n * a.width + part.offset;
    for (int64_t from = 0; from < part.out; from += kMaskPiece) {
      const int64_t length = least(kMaskPiece, part.out - from);
      draws.draw(n * part.out + from, length, mask);
      byVectors(length, [&](int64_t i, int64_t count) {
        Vec sum = {};
        for (int64_t r = 0; r < part.rank; r++) sum += down[r] * load(part.m + r * part.out + from + i, count);
        store(y + from + i, load(y + from + i, count) + sum * load(mask + i, count), count);
      });
    }
  }
}

/** Rows [begin, end). */
template <typename T>
void lowRankAdd(const LowRankAdd<T>& a, int64_t begin, int64_t end) {
  for (int64_t p = 0; p < a.count; p++) {
    const LowRankPart& part = a.parts[p];
    if (part.dropout.probability > 0) {
      lowRankAddDropped(a, part, begin, end);
      continue;
    }
    for (int64_t n = begin; n < end; n += kRows) {
      const int64_t rows = least(kRows, end - n);
      const float* down = a.down + n * a.lanes + part.lane;
      T* y = a.y + n * a.width + part.offset;
      byVectors(part.out, [&](int64_t i, int64_t count) {
        Vec sums[kRows];
        for (int64_t row = 0; row < rows; row++) sums[row] = load(y + row * a.width + i, count);
        for (int64_t r = 0; r < part.rank; r++) {
          const Vec m = load(part.m + r * part.out + i, count);
          // Always rounded once: left to the compiler, the result would depend on the number of rows.
          for (int64_t row = 0; row < rows; row++) sums[row] = addProduct(sums[row], all(down[row * a.lanes + r]), m);
        }
        for (int64_t row = 0; row < rows; row++) store(y + row * a.width + i, sums[row], count);
      });
    }
  }
}

template <typename T>
void lowRankDown(const LowRankDown<T>& a, int64_t begin, int64_t end) {
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

/** Rows [begin, end) of W. */
template <typename T>
void normsOfRows(const UpdatedNorms<T>& a, int64_t begin, int64_t end) {
  for (int64_t o = begin; o < end; o += kRows) {
    const int64_t rows = least(kRows, end - o);
    Vec squares[kRows] = {};
    byVectors(a.width, [&](int64_t i, int64_t count) {
      Vec sums[kRows];
      for (int64_t row = 0; row < rows; row++) sums[row] = load(a.w + (o + row) * a.width + i, count);
      for (int64_t r = 0; r < a.rank; r++) {
        const Vec m = load(a.a + r * a.width + i, count) * a.scale;
        for (int64_t row = 0; row < rows; row++) sums[row] += a.b[(o + row) * a.rank + r] * m;
      }
      for (int64_t row = 0; row < rows; row++) squares[row] += sums[row] * sums[row];
    });
    for (int64_t row = 0; row < rows; row++) a.norms[o + row] = __builtin_sqrtf(sumOf(squares[row]));
  }
}

/** Columns [begin, end) of W; B is transposed. */
template <typename T>
void normsOfColumns(const UpdatedNorms<T>& a, int64_t begin, int64_t end) {
  byVectors(end - begin, [&](int64_t column, int64_t count) {
    const int64_t o = begin + column;
    Vec squares = {};
    for (int64_t i = 0; i < a.width; i += kRows) {
      const int64_t rows = least(kRows, a.width - i);
      Vec sums[kRows];
      for (int64_t row = 0; row < rows; row++) sums[row] = load(a.w + (i + row) * a.out + o, count);
      for (int64_t r = 0; r < a.rank; r++) {
        const Vec m = load(a.b + r * a.out + o, count) * a.scale;
        for (int64_t row = 0; row < rows; row++) sums[row] += a.a[r * a.width + i + row] * m;
      }
      for (int64_t row = 0; row < rows; row++) squares += sums[row] * sums[row];
    }
    float each[kLanes];
    store(each, squares);
    for (int64_t i = 0; i < count; i++) a.norms[o + i] = __builtin_sqrtf(each[i]);
  });
}

template <typename T>
void updatedNorms(const UpdatedNorms<T>& a, int64_t begin, int64_t end) {
  a.transposed ? normsOfColumns(a, begin, end) : normsOfRows(a, begin, end);
}

}  // namespace
}  // namespace graft
