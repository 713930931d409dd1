// Small matrix products in float32, for factors that fit into the cache: for attention within a block of queries.
#pragma once
#include "vector.h"

namespace graft {
namespace {

/** Rows and vectors of columns that are kept in registers: there are 32 with AVX-512 and on ARM, and 16 elsewhere. */
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kTileRows = 6, kTileVectors = 4;
#else
constexpr int kTileRows = 4, kTileVectors = 2;
#endif

/** A factor whose element (row, k) is at row · rowStep + k · kStep. */
struct Factor {
  const float* p;
  int64_t rowStep, kStep;
};

template <int Rows, int Vectors>
inline void tile(Factor a, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t K, bool add) {
  Vec sums[Rows][Vectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; j++) sums[i][j] = add ? load(c + i * ldc + j * kLanes) : Vec{};
  for (int64_t k = 0; k < K; k++) {
    Vec row[Vectors];
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; j++) row[j] = load(b + k * ldb + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++) {
      const Vec x = all(a.p[i * a.rowStep + k * a.kStep]);
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; j++) sums[i][j] += x * row[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; j++) store(c + i * ldc + j * kLanes, sums[i][j]);
}

template <int Vectors>
inline void rowsOfTiles(Factor a, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t M, int64_t K, bool add) {
  int64_t m = 0;
  const auto from = [&](int64_t row) { return Factor{a.p + row * a.rowStep, a.rowStep, a.kStep}; };
  for (; m + kTileRows <= M; m += kTileRows)
    tile<kTileRows, Vectors>(from(m), b, ldb, c + m * ldc, ldc, K, add);
  for (; m < M; m++) tile<1, Vectors>(from(m), b, ldb, c + m * ldc, ldc, K, add);
}

/** C (M × N) = A (M × K) · B (K × N), or += with `add`. N and the row strides of B and C are multiples of the vector length. */
inline void product(Factor a, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t M, int64_t N, int64_t K,
                    bool add = false) {
  int64_t n = 0;
  for (; n + kTileVectors * kLanes <= N; n += kTileVectors * kLanes)
    rowsOfTiles<kTileVectors>(a, b + n, ldb, c + n, ldc, M, K, add);
  for (; n < N; n += kLanes) rowsOfTiles<1>(a, b + n, ldb, c + n, ldc, M, K, add);
}

}  // namespace
}  // namespace graft
