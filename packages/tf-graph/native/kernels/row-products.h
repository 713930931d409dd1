// Matrix products that compute every row in a fixed order, independent of the other rows: a sequence gets the same result in a batch, bit
// for bit, as alone. Factors may be much larger than the cache; W is read once.
#pragma once
#if defined(__FMA__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "unpack.h"
#include "vector.h"

namespace graft {
namespace {

/** sum + a · b, rounded once if the CPU can: left to the compiler, some code would fuse and other code would not. */
inline Vec addProduct(Vec sum, Vec a, Vec b) {
#if defined(__AVX512F__)
  return bitsOf<Vec>(_mm512_fmadd_ps(bitsOf<__m512>(a), bitsOf<__m512>(b), bitsOf<__m512>(sum)));
#elif defined(__FMA__)
  return bitsOf<Vec>(_mm256_fmadd_ps(bitsOf<__m256>(a), bitsOf<__m256>(b), bitsOf<__m256>(sum)));
#elif defined(__aarch64__)
  return bitsOf<Vec>(vfmaq_f32(bitsOf<float32x4_t>(sum), bitsOf<float32x4_t>(a), bitsOf<float32x4_t>(b)));
#else
  return sum + a * b;
#endif
}

/** Rows of x and rows of W whose products are kept in registers: there are 32 with AVX-512 and on ARM, and 16 elsewhere. */
constexpr int kDotRows = 4;
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kDotColumns = 6;
#else
constexpr int kDotColumns = 3;
#endif

/** Rows of a matrix in float32. */
struct FloatRows {
  const float* w;
  int64_t stride;
  /** `count` numbers of row j, from column k on. */
  template <int Columns>
  Vec at(int j, int64_t k, int64_t count) const {
    // Prefetches the following rows, which are not in any cache yet.
    __builtin_prefetch(w + (Columns + j) * stride + k);
    return load(w + j * stride + k, count);
  }
};

/** y (Rows, Columns) = x (Rows, K) · Wᵀ with Columns rows of W, which `w.at` reads. */
template <int Rows, int Columns, typename W>
inline void dots(const float* x, int64_t xStride, const W& w, int64_t K, float* y, int64_t yStride) {
  Vec sums[Rows][Columns] = {};
  const auto add = [&](int64_t k, int64_t count) __attribute__((always_inline)) {
    Vec row[Columns];
#pragma GCC unroll 8
    for (int j = 0; j < Columns; j++) row[j] = w.template at<Columns>(j, k, count);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++) {
      const Vec own = load(x + i * xStride + k, count);
#pragma GCC unroll 8
      for (int j = 0; j < Columns; j++) sums[i][j] = addProduct(sums[i][j], own, row[j]);
    }
  };
  int64_t k = 0;
  for (; k + kLanes <= K; k += kLanes) add(k, kLanes);
  if (k < K) add(k, K - k);
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < Columns; j++) y[i * yStride + j] = sumOf(sums[i][j]);
}

template <int Columns>
inline void dotsOfRows(const float* x, int64_t xStride, int64_t rows, const float* w, int64_t wStride, int64_t K, float* y,
                       int64_t yStride) {
  int64_t n = 0;
  for (; n + kDotRows <= rows; n += kDotRows)
    dots<kDotRows, Columns>(x + n * xStride, xStride, FloatRows{w, wStride}, K, y + n * yStride, yStride);
  for (; n < rows; n++) dots<1, Columns>(x + n * xStride, xStride, FloatRows{w, wStride}, K, y + n * yStride, yStride);
}

/** y (rows, columns) = x (rows, K) · Wᵀ with W (columns, K). */
inline void timesTransposed(const float* x, int64_t xStride, int64_t rows, const float* w, int64_t wStride, int64_t columns,
                            int64_t K, float* y, int64_t yStride) {
  int64_t m = 0;
  for (; m + kDotColumns <= columns; m += kDotColumns)
    dotsOfRows<kDotColumns>(x, xStride, rows, w + m * wStride, wStride, K, y + m, yStride);
  for (; m < columns; m++) dotsOfRows<1>(x, xStride, rows, w + m * wStride, wStride, K, y + m, yStride);
}

/** The last vector has only `count` numbers. */
template <int Rows, int Vectors>
inline void sums(const float* x, int64_t xStride, const float* w, int64_t wStride, int64_t K, float* y, int64_t yStride,
                 int64_t count) {
  Vec sums[Rows][Vectors];
  // If there are several vectors, all are complete.
  const int64_t n = Vectors > 1 ? kLanes : count;
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; j++) sums[i][j] = load(y + i * yStride + j * kLanes, n);
  for (int64_t k = 0; k < K; k++) {
    Vec row[Vectors];
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; j++) row[j] = load(w + k * wStride + j * kLanes, n);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; j++) sums[i][j] = addProduct(sums[i][j], all(x[i * xStride + k]), row[j]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; j++) store(y + i * yStride + j * kLanes, sums[i][j], n);
}

template <int Vectors>
inline void sumsOfRows(const float* x, int64_t xStride, int64_t rows, const float* w, int64_t wStride, int64_t K, float* y,
                       int64_t yStride, int64_t count = kLanes) {
  int64_t n = 0;
  for (; n + kDotRows <= rows; n += kDotRows)
    sums<kDotRows, Vectors>(x + n * xStride, xStride, w, wStride, K, y + n * yStride, yStride, count);
  for (; n < rows; n++) sums<1, Vectors>(x + n * xStride, xStride, w, wStride, K, y + n * yStride, yStride, count);
}

/** y (rows, columns) += x (rows, K) · W with W (K, columns). */
inline void addTimes(const float* x, int64_t xStride, int64_t rows, const float* w, int64_t wStride, int64_t columns, int64_t K,
                     float* y, int64_t yStride) {
  constexpr int kVectors = 2;
  int64_t m = 0;
  for (; m + kVectors * kLanes <= columns; m += kVectors * kLanes)
    sumsOfRows<kVectors>(x, xStride, rows, w + m, wStride, K, y + m, yStride);
  for (; m < columns; m += kLanes)
    sumsOfRows<1>(x, xStride, rows, w + m, wStride, K, y + m, yStride, least(kLanes, columns - m));
}

/** Columns [begin, end) of y. */
inline void rowProduct(const RowProduct& a, int64_t begin, int64_t end) {
  float* y = a.y + begin;
  if (a.transposed) return timesTransposed(a.x, a.in, a.rows, a.w + begin * a.in, a.in, end - begin, a.in, y, a.out);
  for (int64_t n = 0; n < a.rows; n++) std::memset(y + n * a.out, 0, (end - begin) * sizeof(float));
  addTimes(a.x, a.in, a.rows, a.w + begin, a.out, end - begin, a.in, y, a.out);
}

/** Number of ranks that are summed at a time. */
constexpr int64_t kRanks = 64;

/** Rows [begin, end); consecutive rows of one adapter are computed together. */
inline void rowUpdates(const RowUpdates& a, int64_t begin, int64_t end) {
  float down[kDotRows * kRanks];
  for (int64_t n = begin; n < end;) {
    const int32_t owner = a.owners[n];
    int64_t rows = 1;
    while (rows < kDotRows && n + rows < end && a.owners[n + rows] == owner) rows++;
    for (int64_t i = 0; i < a.count && owner >= 0; i++) {
      const int64_t at = owner * a.modules + a.module[i];
      const int32_t* place = a.places + 3 * at;
      const int64_t width = a.offsets[i + 1] - a.offsets[i];
      for (int64_t r = 0; r < place[2]; r += kRanks) {
        const int64_t ranks = least(kRanks, place[2] - r);
        timesTransposed(a.x + n * a.in, a.in, rows, a.arena + place[0] + r * a.in, a.in, ranks, a.in, down, kRanks);
        for (int64_t row = 0; row < rows; row++)
          for (int64_t j = 0; j < ranks; j++) down[row * kRanks + j] *= a.scales[at];
        addTimes(down, kRanks, rows, a.arena + place[1] + r * width, width, width, ranks, a.y + n * a.width + a.offsets[i], a.width);
      }
    }
    n += rows;
  }
}

// Products with weights in the form in which they are stored. A row by itself reads them in registers; for several rows, a few rows of W at
// a time are unpacked into the cache. A row of x has the same result as with the unpacked matrix, bit for bit.

/** Floats of scratch memory for a product with rows of W that are `in` wide. */
inline int64_t storedProductScratch(int64_t in) { return kDotColumns * in; }

/** Rows of W from row m on, each `in` wide. `scratch` holds `storedProductScratch` floats. */
struct Bfloat16Rows {
  const Bfloat16* w;
  int64_t in;
  Bfloat16Rows(const Bfloat16Matrix& w, int64_t in, int64_t m, int64_t, float*) : w(w.values + m * in), in(in) {}
  template <int>
  Vec at(int j, int64_t k, int64_t count) const {
    return load(w + j * in + k, count);
  }
};
struct Int8Rows {
  const int8_t* codes;
  const float* scales;
  int64_t in;
  Int8Rows(const UnpackInt8<float>& w, int64_t in, int64_t m, int64_t, float*)
      : codes(w.codes + m * in), scales(w.scales + m), in(in) {}
  template <int>
  Vec at(int j, int64_t k, int64_t count) const {
    Bytes bytes = {};
    std::memcpy(&bytes, codes + j * in + k, count == kLanes ? kLanes : count);
    return __builtin_convertvector(intsOf(bytes), Vec) * scales[j];
  }
};
struct Nf4Rows {
  const uint8_t* codes;
  /** Factors of the rows' blocks. */
  const float* factors;
  int64_t in;
  Nf4Rows(const UnpackNf4<float>& w, int64_t in, int64_t m, int64_t count, float* scratch)
      : codes(w.codes + m * in / 2), factors(scratch), in(in) {
    factorsOf(w, m * in / kBlockOfNf4, count * in / kBlockOfNf4, scratch);
  }
  template <int>
  Vec at(int j, int64_t k, int64_t) const {
    return normalFloats(codes + (j * in + k) / 2) * factors[(j * in + k) / kBlockOfNf4];
  }
};
inline Bfloat16Rows rowsOf(const Bfloat16Matrix& w, int64_t in, int64_t m, int64_t count, float* s) { return {w, in, m, count, s}; }
inline Int8Rows rowsOf(const UnpackInt8<float>& w, int64_t in, int64_t m, int64_t count, float* s) { return {w, in, m, count, s}; }
inline Nf4Rows rowsOf(const UnpackNf4<float>& w, int64_t in, int64_t m, int64_t count, float* s) { return {w, in, m, count, s}; }

/** Unpacks rows [m, m + count) of W to `panel`. */
inline void unpackRows(const Bfloat16Matrix& w, int64_t in, int64_t m, int64_t count, float* panel) {
  const Bfloat16* from = w.values + m * in;
  byVectors(count * in, [&](int64_t i, int64_t lanes) { store(panel + i, load(from + i, lanes), lanes); });
}
inline void unpackRows(UnpackInt8<float> w, int64_t in, int64_t m, int64_t count, float* panel) {
  w.codes += m * in;
  w.scales += m;
  w.y = panel;
  unpackInt8(w, 0, count);
}
inline void unpackRows(UnpackNf4<float> w, int64_t in, int64_t m, int64_t count, float* panel) {
  // Blocks are numbered from the matrix's start, since groups of them share a factor.
  w.y = panel - m * in;
  unpackNf4(w, m * in / kBlockOfNf4, (m + count) * in / kBlockOfNf4);
}

template <typename Stored>
void storedProduct(const StoredProduct<Stored>& a, int64_t begin, int64_t end, float* panel) {
  for (int64_t m = begin; m < end; m += kDotColumns) {
    const int64_t count = least(kDotColumns, end - m);
    if (a.rows == 1 && count == kDotColumns) {
      dots<1, kDotColumns>(a.x, a.in, rowsOf(a.w, a.in, m, count, panel), a.in, a.y + m, a.out);
      continue;
    }
    unpackRows(a.w, a.in, m, count, panel);
    timesTransposed(a.x, a.in, a.rows, panel, a.in, count, a.in, a.y + m, a.out);
  }
}

}  // namespace
}  // namespace graft
