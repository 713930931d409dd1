// Products with experts' matrices by the instructions that multiply pairs of bfloat16 numbers and add the products in float32, or by
// matrix units. W is read as it is stored, without a copy in float32. Each row is computed in a fixed order, independent of the others.
#pragma once
#include "expert-rows.h"
#include "../matrix-units.h"
#include "../row-products.h"

#ifdef __AVX512BF16__

namespace graft {
namespace {

/** Number of an expert's rows that are multiplied at a time. */
constexpr int64_t kPairRows = 64;
/** bfloat16 numbers in a vector, and in a tile of 16 vectors. */
constexpr int64_t kPairLanes = 32, kTile = 16 * kPairLanes;
/** Inputs and columns of W that are packed at a time. */
constexpr int64_t kPackedInputs = 256, kPackedColumns = 64;

/** `inputs` rounded up to whole tiles. */
inline int64_t wholeTiles(int64_t inputs) { return (inputs + kPairLanes - 1) / kPairLanes * kPairLanes; }

/** The first `count` of a vector's numbers; the others are 0. */
inline __m512i loadPairs(const void* p, int64_t count) {
  if (count >= kPairLanes) return _mm512_loadu_si512(p);
  return _mm512_maskz_loadu_epi16(count <= 0 ? 0 : (1u << count) - 1, p);
}

inline Vec addPairs(Vec sum, __m512i a, __m512i b) {
  return bitsOf<Vec>(_mm512_dpbf16_ps(bitsOf<__m512>(sum), bitsOf<__m512bh>(a), bitsOf<__m512bh>(b)));
}

/** The rows of x of some pairs. */
struct PairRows {
  const Bfloat16* of[kPairRows];
  int64_t count;
};

inline PairRows rowsOfPairs(const ExpertProduct<Bfloat16>& a, const int32_t* pairs, int64_t count) {
  PairRows rows;
  rows.count = count;
  for (int64_t i = 0; i < count; i++) rows.of[i] = a.x + (a.shared ? pairs[i] / a.of.chosen : pairs[i]) * a.inputs;
  return rows;
}

/** y (Rows, Columns) = x (Rows, K) · Wᵀ with Columns rows of W. */
template <int Rows, int Columns>
inline void pairDots(const Bfloat16* const* x, const Bfloat16* w, int64_t stride, int64_t K, float* y, int64_t yStride) {
  Vec sums[Rows][Columns] = {};
  for (int64_t k = 0; k < K; k += kPairLanes) {
    __m512i row[Columns];
#pragma GCC unroll 8
    for (int j = 0; j < Columns; j++) {
      __builtin_prefetch(w + (Columns + j) * stride + k);
      row[j] = loadPairs(w + j * stride + k, K - k);
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++) {
      const __m512i own = loadPairs(x[i] + k, K - k);
#pragma GCC unroll 8
      for (int j = 0; j < Columns; j++) sums[i][j] = addPairs(sums[i][j], own, row[j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < Columns; j++) y[i * yStride + j] = sumOf(sums[i][j]);
}

template <int Columns>
inline void pairDotsOfRows(const PairRows& x, const Bfloat16* w, int64_t stride, int64_t K, float* y, int64_t yStride) {
  int64_t n = 0;
  for (; n + kDotRows <= x.count; n += kDotRows) pairDots<kDotRows, Columns>(x.of + n, w, stride, K, y + n * yStride, yStride);
  for (; n < x.count; n++) pairDots<1, Columns>(x.of + n, w, stride, K, y + n * yStride, yStride);
}

/** y (Rows, 32) += x (Rows, depths · 32) · W, packed as by `packColumns`. */
template <int Rows>
inline void addPackedTimes(const Bfloat16* const* x, int64_t K, const uint16_t* packed, float* y, int64_t yStride) {
  Vec sums[Rows][2];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) sums[i][j] = load(y + i * yStride + j * kLanes);
  const auto add = [&](int64_t k, int64_t count) __attribute__((always_inline)) {
    // 16 pairs of rows a tile; four tiles are side by side.
    const uint16_t* row = packed + k / kPairLanes * 4 * kTile + k % kPairLanes * 16;
    const __m512i first = _mm512_loadu_si512(row), second = _mm512_loadu_si512(row + kTile);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++) {
      uint32_t pair = 0;
      std::memcpy(&pair, x[i] + k, count * sizeof(Bfloat16));
      const __m512i own = _mm512_set1_epi32(static_cast<int32_t>(pair));
      sums[i][0] = addPairs(sums[i][0], own, first);
      sums[i][1] = addPairs(sums[i][1], own, second);
    }
  };
  int64_t k = 0;
  for (; k + 2 <= K; k += 2) add(k, 2);
  if (k < K) add(k, 1);
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) store(y + i * yStride + j * kLanes, sums[i][j]);
}

/**
 * Packs `rows` rows of W, up to `kPackedInputs`, and up to 64 columns: tiles of 16 pairs of rows and 16 columns, four side by side. What
 * is missing is 0.
 */
inline void packColumns(const Bfloat16* w, int64_t stride, int64_t rows, int64_t columns, uint16_t* packed) {
  alignas(64) uint16_t order[2 * kPairLanes];
  for (int i = 0; i < 2 * kPairLanes; i++) order[i] = static_cast<uint16_t>(i / 2 + i % 2 * kPairLanes);
  const __m512i lower = _mm512_load_si512(order), upper = _mm512_load_si512(order + kPairLanes);
  const int64_t whole = wholeTiles(rows);
  for (int64_t row = 0; row < whole; row += 2)
    for (int64_t column = 0; column < kPackedColumns; column += kPairLanes) {
      const Bfloat16* pair = w + row * stride + column;
      const __m512i even = loadPairs(pair, row < rows ? columns - column : 0);
      const __m512i odd = loadPairs(pair + stride, row + 1 < rows ? columns - column : 0);
      uint16_t* tiles = packed + (row / kPairLanes * 4 + column / 16) * kTile + row % kPairLanes * 16;
      _mm512_storeu_si512(tiles, _mm512_permutex2var_epi16(even, lower, odd));
      _mm512_storeu_si512(tiles + kTile, _mm512_permutex2var_epi16(even, upper, odd));
    }
}

#ifdef __AMX_BF16__

/** A tile of up to 16 rows of 32 numbers, `stride` apart; where it is not whole, a copy in `beside` whose missing numbers are 0. */
struct TileRows {
  const Bfloat16* p;
  int64_t stride;
};
inline TileRows tileRows(const Bfloat16* p, int64_t stride, int64_t rows, int64_t count, Bfloat16* beside) {
  if (rows >= kSide && count >= kDepth) return {p, stride};
  for (int64_t i = 0; i < kSide; i++)
    _mm512_storeu_si512(beside + i * kDepth, i < rows ? loadPairs(p + i * stride, count) : _mm512_setzero_si512());
  return {beside, kDepth};
}

/** Transposes rows of x to tiles of 16 pairs of inputs and 16 rows, for the right factor. */
inline void packRows(const PairRows& x, int64_t K, uint16_t* packed) {
  for (int64_t first = 0; first < x.count; first += kSide)
    for (int64_t k = 0; k < K; k += kDepth, packed += kTile) {
      __m512i rows[16];
      for (int64_t i = 0; i < kSide; i++)
        rows[i] = first + i < x.count ? loadPairs(x.of[first + i] + k, K - k) : _mm512_setzero_si512();
      transposeSquare(rows);
      std::memcpy(packed, rows, sizeof(rows));
    }
}

/** Transposed sums of 16 rows of W and 16 · Groups rows of x. */
template <int Groups>
inline void tileDots(const Bfloat16* w, int64_t stride, int64_t outputs, int64_t K, const uint16_t* packed, int64_t ofGroup, float* y,
                     int64_t yStride) {
  alignas(64) Bfloat16 beside[kTile];
  alignas(64) float sums[kSide * kSide];
  _tile_zero(0);
  if (Groups > 1) _tile_zero(1);
  if (Groups > 2) _tile_zero(2);
  if (Groups > 3) _tile_zero(3);
  for (int64_t k = 0; k < K; k += kDepth, packed += kTile) {
    const TileRows left = tileRows(w + k, stride, outputs, K - k, beside);
    tilesSeeMemory();
    _tile_loadd(4, left.p, left.stride * 2);
    _tile_loadd(5, packed, 64);
    _tile_dpbf16ps(0, 4, 5);
    if (Groups > 1) {
      _tile_loadd(6, packed + ofGroup, 64);
      _tile_dpbf16ps(1, 4, 6);
    }
    if (Groups > 2) {
      _tile_loadd(7, packed + 2 * ofGroup, 64);
      _tile_dpbf16ps(2, 4, 7);
    }
    if (Groups > 3) {
      _tile_loadd(5, packed + 3 * ofGroup, 64);
      _tile_dpbf16ps(3, 4, 5);
    }
  }
  const auto transpose = [&](int64_t group) {
    tilesSeeMemory();
    __m512i rows[16];
    std::memcpy(rows, sums, sizeof(rows));
    transposeSquare(rows);
    for (int64_t i = 0; i < kSide; i++) std::memcpy(y + (group * kSide + i) * yStride, &rows[i], sizeof(rows[i]));
  };
  _tile_stored(0, sums, 64);
  transpose(0);
  if (Groups > 1) {
    _tile_stored(1, sums, 64);
    transpose(1);
  }
  if (Groups > 2) {
    _tile_stored(2, sums, 64);
    transpose(2);
  }
  if (Groups > 3) {
    _tile_stored(3, sums, 64);
    transpose(3);
  }
}

#endif

/** y (rows, count) = x · Wᵀ with `count` rows of W. `y` has whole tiles of rows and columns. */
inline void timesRowsOfW(const PairRows& x, const Bfloat16* w, int64_t stride, int64_t count, int64_t K, float* y, int64_t yStride,
                         [[maybe_unused]] uint16_t* packed) {
#ifdef __AMX_BF16__
  packRows(x, K, packed);
  const TileShapes shapes;
  tilesSeeMemory();
  _tile_loadconfig(&shapes);
  const int64_t groups = (x.count + kSide - 1) / kSide, ofGroup = (K + kDepth - 1) / kDepth * kTile;
  for (int64_t o = 0; o < count; o += kSide) {
    const Bfloat16* rows = w + o * stride;
    const int64_t outputs = count - o;
    if (groups == 1) tileDots<1>(rows, stride, outputs, K, packed, ofGroup, y + o, yStride);
    else if (groups == 2) tileDots<2>(rows, stride, outputs, K, packed, ofGroup, y + o, yStride);
    else if (groups == 3) tileDots<3>(rows, stride, outputs, K, packed, ofGroup, y + o, yStride);
    else tileDots<4>(rows, stride, outputs, K, packed, ofGroup, y + o, yStride);
  }
  _tile_release();
#else
  int64_t o = 0;
  for (; o + kDotColumns <= count; o += kDotColumns) pairDotsOfRows<kDotColumns>(x, w + o * stride, stride, K, y + o, yStride);
  for (; o < count; o++) pairDotsOfRows<1>(x, w + o * stride, stride, K, y + o, yStride);
#endif
}

/** y (rows, 64) (+)= x (rows, K) · W, packed as by `packColumns`; K is at most `kPackedInputs`. */
inline void timesPacked(const PairRows& x, int64_t k, int64_t K, const uint16_t* packed, float* y, int64_t yStride, bool add) {
#ifdef __AMX_BF16__
  alignas(64) Bfloat16 left[kPackedInputs / kDepth * kTile];
  const int64_t depths = (K + kDepth - 1) / kDepth;
  const TileShapes shapes;
  tilesSeeMemory();
  _tile_loadconfig(&shapes);
  for (int64_t first = 0; first < x.count; first += kSide) {
    for (int64_t d = 0; d < depths; d++)
      for (int64_t i = 0; i < kSide; i++) {
        const int64_t at = d * kDepth;
        const __m512i row = first + i < x.count ? loadPairs(x.of[first + i] + k + at, K - at) : _mm512_setzero_si512();
        _mm512_store_si512(left + d * kTile + i * kDepth, row);
      }
    tilesOfSums<kAcross>(reinterpret_cast<const uint16_t*>(left), packed, depths, y + first * yStride, yStride, add);
  }
  _tile_release();
#else
  constexpr int kRowsAtATime = 8;
  const Bfloat16* rows[kPairRows];
  for (int64_t i = 0; i < x.count; i++) {
    rows[i] = x.of[i] + k;
    if (!add) std::memset(y + i * yStride, 0, kPackedColumns * sizeof(float));
  }
  for (int64_t n = 0; n < kPackedColumns; n += 2 * kLanes) {
    const uint16_t* panel = packed + n / kLanes * kTile;
    int64_t i = 0;
    for (; i + kRowsAtATime <= x.count; i += kRowsAtATime)
      addPackedTimes<kRowsAtATime>(rows + i, K, panel, y + i * yStride + n, yStride);
    for (; i < x.count; i++) addPackedTimes<1>(rows + i, K, panel, y + i * yStride + n, yStride);
  }
#endif
}

/** W's rows are unpacked, or multiplied where they are; fewer outputs a task if they take scratch memory. */
inline ExpertSizes pairSizes(const ExpertProduct<Bfloat16>& a) {
  const int64_t outputs = a.reversed ? (a.w ? 256 : 128) : (a.w ? 192 : 96);
  const int64_t packed = a.reversed ? kPackedInputs * kPackedColumns : kPairRows * wholeTiles(a.inputs);
  const int64_t unpacked = a.w ? 0 : a.reversed ? kPackedInputs * outputs : outputs * a.inputs;
  const int64_t row = a.reversed ? outputs : a.inputs;
  return {outputs, kPairRows * outputs + (packed + unpacked) / 2 + row + kLanes};
}

/** Unpacks rows [row, row + rows) of a stored W: columns [column, column + columns). `floats` has a row. */
inline void unpackPairs(const ExpertProduct<Bfloat16>& a, int64_t width, int64_t row, int64_t rows, int64_t column, int64_t columns,
                        float* floats, Bfloat16* to) {
  for (int64_t r = 0; r < rows; r++) {
    unpackRow(a, width, row + r, column, columns, floats);
    narrow(floats, columns, to + r * columns);
  }
}

inline void pairProduct(const ExpertProduct<Bfloat16>& a, const ExpertTask& task, float* scratch) {
  const ExpertSizes sizes = pairSizes(a);
  const int64_t count = task.end - task.begin, width = a.reversed ? a.outputs : a.inputs, yStride = sizes.outputs;
  const int64_t first = task.expert * a.rows + a.first;
  float *y = scratch, *floats = y + kPairRows * yStride;
  uint16_t* packed = reinterpret_cast<uint16_t*>(floats + padded(a.reversed ? yStride : a.inputs));
  Bfloat16* unpacked = reinterpret_cast<Bfloat16*>(packed + (a.reversed ? kPackedInputs * kPackedColumns : kPairRows * wholeTiles(a.inputs)));
  const Bfloat16* w = a.w ? a.w + first * width + task.begin * (a.reversed ? 1 : width) : unpacked;
  if (!a.w && !a.reversed) unpackPairs(a, width, first + task.begin, count, 0, width, floats, unpacked);
  byRows(a.of, task.expert, kPairRows, [&](const int32_t* pairs, int64_t rows) {
    const PairRows x = rowsOfPairs(a, pairs, rows);
    if (!a.reversed) timesRowsOfW(x, w, width, count, a.inputs, y, yStride, packed);
    for (int64_t k = 0; a.reversed && k < a.inputs; k += kPackedInputs) {
      const int64_t inputs = least(kPackedInputs, a.inputs - k);
      if (!a.w) unpackPairs(a, width, first + k, inputs, task.begin, count, floats, unpacked);
      for (int64_t n = 0; n < count; n += kPackedColumns) {
        packColumns(a.w ? w + k * width + n : w + n, a.w ? width : count, inputs, count - n, packed);
        timesPacked(x, k, inputs, packed, y + n, yStride, k > 0);
      }
    }
    for (int64_t i = 0; i < rows; i++) narrow(y + i * yStride, count, a.y + pairs[i] * a.outputs + task.begin);
  });
}

}  // namespace
}  // namespace graft

#endif
