// Products of integers by matrix units (AMX), with the bits of integer-products.h: an instruction multiplies a block of 16 rows of W by one
// of 16 rows of x.
#pragma once
#include "integer-blocks.h"

#ifdef __AMX_INT8__

namespace graft {
namespace {

/** Bytes of a tile, and the most blocks of W that are decoded at a time: they stay in the first cache. */
constexpr int64_t kTileBytes = kSide * kBlockOfIntegers, kDecoded = 16;

/** A left factor: a block of 16 rows of W, and the bytes between two rows. */
struct LeftTile {
  const int8_t* p;
  int64_t stride;
};
template <typename Stored>
inline LeftTile decodedTile(const Stored& w, int64_t in, int64_t m, int64_t count, int64_t b, int8_t* to) {
  for (int64_t j = 0; j < kSide; j++) _mm512_store_si512(to + j * kBlockOfIntegers, codesOf(w, in, m + least(j, count - 1), b));
  return {to, kBlockOfIntegers};
}
inline LeftTile leftTile(const UnpackInt8<float>& w, int64_t in, int64_t m, int64_t count, int64_t b, int8_t* to) {
  if (count < kSide || in - b * kBlockOfIntegers < kBlockOfIntegers) return decodedTile(w, in, m, count, b, to);
  return {w.codes + m * in + b * kBlockOfIntegers, in};
}
inline LeftTile leftTile(const UnpackNf4<float>& w, int64_t in, int64_t m, int64_t count, int64_t b, int8_t* to) {
  return decodedTile(w, in, m, count, b, to);
}
/** What the sums of a block are multiplied by: a row of W, 16 rows of x. */
inline Vec tileFactor(const UnpackInt8<float>&, const float*, Vec scales) { return scales; }
inline Vec tileFactor(const UnpackNf4<float>&, const float* factor, Vec scales) { return all(*factor) * scales; }

/** Columns [begin, end) of y. Sums are kept in `scratch` by tiles of rows of x, each (16 rows of W, 16 rows of x). */
template <typename Stored>
void integerProductByTiles(const IntegerProduct<Stored>& a, int64_t begin, int64_t end, float* scratch) {
  const RoundedRows& x = a.x;
  const int64_t blocks = blocksOf(x.in), tiles = (x.rows + kSide - 1) / kSide;
  const int64_t parts = (blocks + kDecoded - 1) / kDecoded, each = (blocks + parts - 1) / parts;
  float* factors = scratch + tiles * kSide * kLanes;
  alignas(64) int8_t decoded[kDecoded * kTileBytes];
  alignas(64) int32_t products[kSide * kSide];
  const TileShapes shapes;
  tilesSeeMemory();
  _tile_loadconfig(&shapes);
  for (int64_t m = begin; m < end; m += kSide) {
    const int64_t count = least(kSide, end - m);
    std::memset(scratch, 0, tiles * kSide * kLanes * sizeof(float));
    tableFactors(a.w, x.in, m, count, factors);
    for (int64_t from = 0; from < blocks; from += each) {
      const int64_t some = least(each, blocks - from);
      LeftTile left[kDecoded];
      for (int64_t b = 0; b < some; b++) left[b] = leftTile(a.w, x.in, m, count, from + b, decoded + b * kTileBytes);
      for (int64_t t = 0; t < tiles; t++) {
        const int64_t rows = least(kSide, x.rows - t * kSide);
        float* own = scratch + t * kSide * kLanes;
        Vec sums[kSide];
#pragma GCC unroll 16
        for (int j = 0; j < kSide; j++) sums[j] = load(own + j * kLanes);
        for (int64_t b = 0; b < some; b++) {
          tilesSeeMemory();
          _tile_zero(0);
          _tile_loadd(1, left[b].p, left[b].stride);
          _tile_loadd(2, x.codes + (t * blocks + from + b) * kTileBytes, kBlockOfIntegers);
          _tile_dpbssd(0, 1, 2);
          _tile_stored(0, products, kBlockOfIntegers);
          tilesSeeMemory();
          const Vec scales = load(x.scales + (from + b) * x.rows + t * kSide, rows);
#pragma GCC unroll 16
          for (int j = 0; j < kSide; j++) {
            const Vec product = bitsOf<Vec>(_mm512_cvtepi32_ps(_mm512_load_si512(products + j * kSide)));
            sums[j] = fusedSum(sums[j], product, tileFactor(a.w, factors + least(j, count - 1) * blocks + from + b, scales));
          }
        }
#pragma GCC unroll 16
        for (int j = 0; j < kSide; j++) store(own + j * kLanes, sums[j]);
      }
    }
    const Vec scale = scaleOf(a.w, m, count);
    for (int64_t t = 0; t < tiles; t++) {
      __m512i columns[kSide];
      std::memcpy(columns, scratch + t * kSide * kLanes, sizeof(columns));
      transposeSquare(columns);
      for (int64_t n = 0; n < kSide && t * kSide + n < x.rows; n++)
        store(a.y + (t * kSide + n) * a.out + m, bitsOf<Vec>(columns[n]) * scale, count);
    }
  }
  _tile_release();
}

}  // namespace
}  // namespace graft

#endif
