// Products of integers: rows of x rounded to 8 bits, times weights of 8 or 4 bits. The sum of a block is an exact integer, and sums of blocks
// are added in the order of the blocks, rounded once each: the result has the same bits in every instruction set, and for every number of
// rows.
#pragma once
#include "integer-blocks.h"
#include "integer-tiles.h"

namespace graft {
namespace {

#if defined(__AVX512F__)
/** A block of kLanes rows of W, by groups of four numbers: a vector has those of every row. */
struct Tile {
  __m512i groups[kGroups];

  template <typename Stored>
  Tile(const Stored& w, int64_t in, int64_t m, int64_t count, int64_t b) {
    __m512i r[16], s[16];
#pragma GCC unroll 16
    for (int j = 0; j < 16; j++) {
      r[j] = codesOf(w, in, m + least(j, count - 1), b);
#if defined(__AVX512VNNI__)
      // The instruction takes unsigned bytes: 128 is added to each, and its products are subtracted from the sums.
      r[j] = _mm512_xor_si512(r[j], _mm512_set1_epi8(-128));
#endif
    }
#pragma GCC unroll 8
    for (int j = 0; j < 16; j += 2) {
      s[j] = _mm512_unpacklo_epi32(r[j], r[j + 1]);
      s[j + 1] = _mm512_unpackhi_epi32(r[j], r[j + 1]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 16; j += 4) {
      r[j] = _mm512_unpacklo_epi64(s[j], s[j + 2]);
      r[j + 1] = _mm512_unpackhi_epi64(s[j], s[j + 2]);
      r[j + 2] = _mm512_unpacklo_epi64(s[j + 1], s[j + 3]);
      r[j + 3] = _mm512_unpackhi_epi64(s[j + 1], s[j + 3]);
    }
    // r[4 i + j]: group 4 l + j of rows 4 i to 4 i + 3, in lane l of 128 bits.
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const __m512i low = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88), high = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd);
      const __m512i low2 = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88), high2 = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
      groups[j] = _mm512_shuffle_i32x4(low, low2, 0x88);
      groups[8 + j] = _mm512_shuffle_i32x4(low, low2, 0xdd);
      groups[4 + j] = _mm512_shuffle_i32x4(high, high2, 0x88);
      groups[12 + j] = _mm512_shuffle_i32x4(high, high2, 0xdd);
    }
  }

  __m512i plus(__m512i sum, int k, const int8_t* x) const {
    int32_t four;
    std::memcpy(&four, x + 4 * k, 4);
    const __m512i own = _mm512_set1_epi32(four);
#if defined(__AVX512VNNI__)
    return _mm512_dpbusd_epi32(sum, groups[k], own);
#else
    // Pairs of products of a magnitude and a number with its sign stay within 16 bits.
    const __m512i signedOwn = _mm512_mask_sub_epi8(own, _mm512_movepi8_mask(groups[k]), _mm512_setzero_si512(), own);
    const __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(groups[k]), signedOwn);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#endif
  }
  static __m512i zero(int32_t offset) {
#if defined(__AVX512VNNI__)
    return _mm512_set1_epi32(-offset);
#else
    return _mm512_setzero_si512();
#endif
  }
  static __m512i sumOf(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }
  static Vec floatsOf(__m512i sum) { return bitsOf<Vec>(_mm512_cvtepi32_ps(sum)); }
};
#elif defined(__AVX2__)
struct Tile {
  __m256i groups[kGroups];

  template <typename Stored>
  Tile(const Stored& w, int64_t in, int64_t m, int64_t count, int64_t b) {
    alignas(32) int8_t codes[kLanes][kBlockOfIntegers];
    for (int j = 0; j < kLanes; j++) codesOf(w, in, m + least(j, count - 1), b, codes[j]);
    for (int half = 0; half < 2; half++) {
      __m256i r[8], s[8];
#pragma GCC unroll 8
      for (int j = 0; j < 8; j++) r[j] = _mm256_load_si256(reinterpret_cast<const __m256i*>(codes[j]) + half);
#pragma GCC unroll 4
      for (int j = 0; j < 8; j += 2) {
        s[j] = _mm256_unpacklo_epi32(r[j], r[j + 1]);
        s[j + 1] = _mm256_unpackhi_epi32(r[j], r[j + 1]);
      }
#pragma GCC unroll 2
      for (int j = 0; j < 8; j += 4) {
        r[j] = _mm256_unpacklo_epi64(s[j], s[j + 2]);
        r[j + 1] = _mm256_unpackhi_epi64(s[j], s[j + 2]);
        r[j + 2] = _mm256_unpacklo_epi64(s[j + 1], s[j + 3]);
        r[j + 3] = _mm256_unpackhi_epi64(s[j + 1], s[j + 3]);
      }
      // r[4 i + j]: group 4 l + j of rows 4 i to 4 i + 3, in lane l of 128 bits.
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) {
        groups[8 * half + j] = _mm256_permute2x128_si256(r[j], r[4 + j], 0x20);
        groups[8 * half + 4 + j] = _mm256_permute2x128_si256(r[j], r[4 + j], 0x31);
      }
    }
  }

  __m256i plus(__m256i sum, int k, const int8_t* x) const {
    int32_t four;
    std::memcpy(&four, x + 4 * k, 4);
    // Pairs of products of a magnitude and a number with its sign stay within 16 bits.
    const __m256i signedOwn = _mm256_sign_epi8(_mm256_set1_epi32(four), groups[k]);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(groups[k]), signedOwn);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static __m256i zero(int32_t) { return _mm256_setzero_si256(); }
  static __m256i sumOf(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
  static Vec floatsOf(__m256i sum) { return __builtin_convertvector(bitsOf<Ints>(sum), Vec); }
};
#else
/** In float32, where sums of a block are exact, too: they are less than 2^24. */
struct Tile {
  Vec numbers[kBlockOfIntegers];

  template <typename Stored>
  Tile(const Stored& w, int64_t in, int64_t m, int64_t count, int64_t b) {
    int8_t codes[kBlockOfIntegers];
    for (int j = 0; j < kLanes; j++) {
      codesOf(w, in, m + least(j, count - 1), b, codes);
      for (int k = 0; k < kBlockOfIntegers; k++) numbers[k][j] = codes[k];
    }
  }

  Vec plus(Vec sum, int k, const int8_t* x) const {
#pragma GCC unroll 4
    for (int i = 4 * k; i < 4 * k + 4; i++) sum += numbers[i] * static_cast<float>(x[i]);
    return sum;
  }
  static Vec zero(int32_t) { return Vec{}; }
  static Vec sumOf(Vec a, Vec b) { return a + b; }
  static Vec floatsOf(Vec sum) { return sum; }
};
#endif

/** Adds the products of a tile with `Rows` blocks of x, from number `at` on, to the sums (Rows, kLanes) of their rows. */
template <int Rows>
inline void addBlock(const Tile& tile, const RoundedRows& x, int64_t at, Vec factor, float* sums) {
  // A row by itself has several sums, so that no addition waits for the one before it.
  constexpr int kSums = Rows == 1 ? 4 : 1;
  decltype(Tile::zero(0)) own[Rows][kSums];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 4
    for (int s = 0; s < kSums; s++) own[i][s] = Tile::zero(s == 0 ? x.offsets[at + i] : 0);
#pragma GCC unroll 16
  for (int k = 0; k < kGroups; k++)
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++) own[i][k % kSums] = tile.plus(own[i][k % kSums], k, x.codes + (at + i) * kBlockOfIntegers);
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++) {
#pragma GCC unroll 4
    for (int s = 1; s < kSums; s++) own[i][0] = Tile::sumOf(own[i][0], own[i][s]);
    store(sums + i * kLanes, fusedSum(load(sums + i * kLanes), Tile::floatsOf(own[i][0]), factor * x.scales[at + i]));
  }
}

/** The factors of block b of a tile's rows. */
inline Vec factorOf(const UnpackInt8<float>&, const float*, int64_t, int64_t, int64_t) { return all(1); }
inline Vec factorOf(const UnpackNf4<float>&, const float* factors, int64_t blocks, int64_t b, int64_t count) {
  Vec v;
  for (int j = 0; j < kLanes; j++) v[j] = factors[least(j, count - 1) * blocks + b];
  return v;
}

/** Floats of scratch memory for `rows` rows: their sums and the factors of a tile. */
inline int64_t integerProductScratch(int64_t rows, int64_t in) { return ((rows + 15) / 16 * 16 + blocksOf(in)) * kLanes; }

/** Columns [begin, end) of y. A tile of W is read once, for all rows. */
template <typename Stored>
void integerProduct(const IntegerProduct<Stored>& a, int64_t begin, int64_t end, float* scratch) {
#ifdef __AMX_INT8__
  if (byTiles(a.x.rows)) return integerProductByTiles(a, begin, end, scratch);
#endif
  constexpr int kRows = 4;
  const RoundedRows& x = a.x;
  const int64_t blocks = blocksOf(x.in);
  float* factors = scratch + x.rows * kLanes;
  for (int64_t m = begin; m < end; m += kLanes) {
    const int64_t count = least(kLanes, end - m);
    std::memset(scratch, 0, x.rows * kLanes * sizeof(float));
    tableFactors(a.w, x.in, m, count, factors);
    for (int64_t b = 0; b < blocks; b++) {
      const Tile tile(a.w, x.in, m, count, b);
      const Vec factor = factorOf(a.w, factors, blocks, b, count);
      int64_t n = 0;
      for (; n + kRows <= x.rows; n += kRows) addBlock<kRows>(tile, x, b * x.rows + n, factor, scratch + n * kLanes);
      for (; n < x.rows; n++) addBlock<1>(tile, x, b * x.rows + n, factor, scratch + n * kLanes);
    }
    const Vec scale = scaleOf(a.w, m, count);
    for (int64_t n = 0; n < x.rows; n++) store(a.y + n * a.out + m, load(scratch + n * kLanes) * scale, count);
  }
}

}  // namespace
}  // namespace graft
