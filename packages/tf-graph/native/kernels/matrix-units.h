// Matrix products with the CPU's matrix units (AMX): an instruction adds the products of two tiles, each 16 rows of 64 bytes, to a tile of
// sums. Factors are rounded to bfloat16, as they are between matrix products; sums are float32.
#pragma once
#include "products.h"

#ifdef __AMX_BF16__

namespace graft {
namespace {

/** Rows and columns of a tile of sums, and the number of products that an instruction adds to each sum. */
constexpr int64_t kSide = 16, kDepth = 32;
/** Tiles of sums side by side; rows of tiles whose factor stays packed; depths that are packed at a time. */
constexpr int64_t kAcross = 4, kDown = 4, kDepths = 8;
/** Numbers in a packed tile. */
constexpr int64_t kPacked = kSide * kDepth;

/** Eight tiles of 16 rows of 64 bytes. A thread keeps this configuration until it releases it. */
struct alignas(64) TileShapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/** Memory barrier, because the compiler does not know what tile instructions read and write. */
inline void tilesSeeMemory() { asm volatile("" ::: "memory"); }

/** Interleaves two vectors as bfloat16: in each lane one number of both, the even one in the lower half. */
inline __m512i sideBySide(Vec even, Vec odd) {
  const auto narrow = [](Vec v) { return _mm512_cvtepu16_epi32(bitsOf<__m256i>(narrowed(v))); };
  return _mm512_or_si512(narrow(even), _mm512_slli_epi32(narrow(odd), 16));
}

/** Transposes 16 × 16 numbers of 32 bits. */
inline void transposeSquare(__m512i rows[16]) {
  __m512i a[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; j++) {
      rows[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + 2 + j]);
      rows[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + 2 + j]);
    }
  // Each quarter of a vector now holds four numbers of a column: permute the quarters.
  for (int i = 0; i < 4; i++) {
    const __m512i even = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x88), odd = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xdd);
    const __m512i evenNext = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x88);
    const __m512i oddNext = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xdd);
    a[i] = _mm512_shuffle_i32x4(even, evenNext, 0x88);
    a[4 + i] = _mm512_shuffle_i32x4(odd, oddNext, 0x88);
    a[8 + i] = _mm512_shuffle_i32x4(even, evenNext, 0xdd);
    a[12 + i] = _mm512_shuffle_i32x4(odd, oddNext, 0xdd);
  }
  for (int i = 0; i < 16; i++) rows[i] = a[i];
}

/** Loads up to 16 numbers, none past the end. */
inline Vec some(const float* p, int64_t count) { return count <= 0 ? Vec{} : load(p, least(kLanes, count)); }

/** Packs up to 16 rows and 32 columns of the left factor, row by row. The rest is 0. */
inline void packLeft(Factor a, int64_t rows, int64_t depth, uint16_t* packed) {
  if (a.kStep == 1) {
    for (int64_t i = 0; i < kSide; i++) {
      const float* row = a.p + i * a.rowStep;
      const int64_t there = i < rows ? depth : 0;
      const Halves low = narrowed(some(row, there)), high = narrowed(some(row + kLanes, there - kLanes));
      std::memcpy(packed + i * kDepth, &low, sizeof(low));
      std::memcpy(packed + i * kDepth + kLanes, &high, sizeof(high));
    }
    return;
  }
  __m512i columns[16];
  for (int64_t i = 0; i < 16; i++) {
    const float* column = a.p + 2 * i * a.kStep;
    columns[i] = sideBySide(some(column, 2 * i < depth ? rows : 0), some(column + a.kStep, 2 * i + 1 < depth ? rows : 0));
  }
  transposeSquare(columns);
  std::memcpy(packed, columns, sizeof(columns));
}

/** Packs up to 32 rows of 16 columns of the right factor, interleaving pairs of rows. The rest is 0. */
inline void packRight(const float* b, int64_t ldb, int64_t depth, uint16_t* packed) {
  for (int64_t i = 0; i < 16; i++) {
    const float* row = b + 2 * i * ldb;
    const __m512i pair = sideBySide(2 * i < depth ? load(row) : Vec{}, 2 * i + 1 < depth ? load(row + ldb) : Vec{});
    std::memcpy(packed + 2 * i * kSide, &pair, sizeof(pair));
  }
}

/** Computes up to four tiles of sums side by side, from packed factors. `c` has 16 rows. */
template <int Across>
inline void tilesOfSums(const uint16_t* left, const uint16_t* right, int64_t depths, float* c, int64_t ldc, bool add) {
  const int64_t stride = 4 * ldc;
  tilesSeeMemory();
  if (add) {
    _tile_loadd(0, c, stride);
    if (Across > 1) _tile_loadd(1, c + kSide, stride);
    if (Across > 2) _tile_loadd(2, c + 2 * kSide, stride);
    if (Across > 3) _tile_loadd(3, c + 3 * kSide, stride);
  } else {
    _tile_zero(0);
    if (Across > 1) _tile_zero(1);
    if (Across > 2) _tile_zero(2);
    if (Across > 3) _tile_zero(3);
  }
  for (int64_t k = 0; k < depths; k++, left += kPacked, right += kAcross * kPacked) {
    _tile_loadd(4, left, 64);
    _tile_loadd(5, right, 64);
    _tile_dpbf16ps(0, 4, 5);
    if (Across > 1) {
      _tile_loadd(6, right + kPacked, 64);
      _tile_dpbf16ps(1, 4, 6);
    }
    if (Across > 2) {
      _tile_loadd(7, right + 2 * kPacked, 64);
      _tile_dpbf16ps(2, 4, 7);
    }
    if (Across > 3) {
      _tile_loadd(5, right + 3 * kPacked, 64);
      _tile_dpbf16ps(3, 4, 5);
    }
  }
  _tile_stored(0, c, stride);
  if (Across > 1) _tile_stored(1, c + kSide, stride);
  if (Across > 2) _tile_stored(2, c + 2 * kSide, stride);
  if (Across > 3) _tile_stored(3, c + 3 * kSide, stride);
  tilesSeeMemory();
}

/** Computes the last rows of C, if there are fewer than in a tile, in a separate buffer. */
template <int Across>
inline void sumsOf(const uint16_t* left, const uint16_t* right, int64_t depths, float* c, int64_t ldc, int64_t rows, bool add) {
  if (rows >= kSide) return tilesOfSums<Across>(left, right, depths, c, ldc, add);
  constexpr int64_t width = Across * kSide;
  alignas(64) float beside[kSide * width];
  for (int64_t i = 0; add && i < rows; i++) std::memcpy(beside + i * width, c + i * ldc, sizeof(float) * width);
  tilesOfSums<Across>(left, right, depths, beside, width, add);
  for (int64_t i = 0; i < rows; i++) std::memcpy(c + i * ldc, beside + i * width, sizeof(float) * width);
}

/** `product` of products.h with factors rounded to bfloat16. The order of each sum does not depend on the other rows and columns. */
inline void productByTiles(Factor a, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t M, int64_t N, int64_t K, bool add) {
  alignas(64) uint16_t left[kDown * kDepths * kPacked];
  alignas(64) uint16_t right[kDepths * kAcross * kPacked];
  const TileShapes shapes;
  tilesSeeMemory();
  _tile_loadconfig(&shapes);
  // If there are few rows, they stay packed for all columns. If there are many, each is packed once per 64 columns; usually there are no
  // more.
  const bool few = M <= kDown * kSide;
  const auto pack = [&](int64_t m, int64_t k, int64_t depths, uint16_t* to) {
    for (int64_t i = 0; i < depths; i++) {
      const int64_t at = k + i * kDepth;
      packLeft({a.p + m * a.rowStep + at * a.kStep, a.rowStep, a.kStep}, M - m, K - at, to + i * kPacked);
    }
  };
  for (int64_t k = 0; k < K; k += kDepths * kDepth) {
    const int64_t depths = (least(K - k, kDepths * kDepth) + kDepth - 1) / kDepth;
    const bool adds = add || k > 0;
    for (int64_t m = 0; few && m < M; m += kSide) pack(m, k, depths, left + m / kSide * kDepths * kPacked);
    for (int64_t n = 0; n < N; n += kAcross * kSide) {
      const int64_t across = least(kAcross, (N - n) / kSide);
      for (int64_t i = 0; i < depths; i++)
        for (int64_t j = 0; j < across; j++)
          packRight(b + (k + i * kDepth) * ldb + n + j * kSide, ldb, K - k - i * kDepth, right + (i * kAcross + j) * kPacked);
      for (int64_t m = 0; m < M; m += kSide) {
        uint16_t* rows = few ? left + m / kSide * kDepths * kPacked : left;
        if (!few) pack(m, k, depths, rows);
        float* sums = c + m * ldc + n;
        if (across == 4) sumsOf<4>(rows, right, depths, sums, ldc, M - m, adds);
        else if (across == 3) sumsOf<3>(rows, right, depths, sums, ldc, M - m, adds);
        else if (across == 2) sumsOf<2>(rows, right, depths, sums, ldc, M - m, adds);
        else sumsOf<1>(rows, right, depths, sums, ldc, M - m, adds);
      }
    }
  }
  _tile_release();
}

}  // namespace
}  // namespace graft

#endif
