// Products of integers: rows of x rounded to 8 bits, times weights of 8 or 4 bits. The sum of a block is an exact integer, and sums of blocks
// are added in the order of the blocks, rounded once each: the result has the same bits in every instruction set, and for every number of
// rows.
#pragma once
#include "row-products.h"

namespace graft {
namespace {

/** Consecutive numbers of a row of x that share a scale, and those of W that are read together; a block of NF4. */
constexpr int64_t kBlockOfIntegers = kBlockOfNf4;
/** A block in groups of four numbers, the operand of an instruction. */
constexpr int kGroups = kBlockOfIntegers / 4;

inline int64_t blocksOf(int64_t in) { return (in + kBlockOfIntegers - 1) / kBlockOfIntegers; }

/** sum + a · b, rounded once in every instruction set. */
inline Vec fusedSum(Vec sum, Vec a, Vec b) {
#if defined(__FMA__) || defined(__aarch64__)
  return addProduct(sum, a, b);
#else
  for (int i = 0; i < kLanes; i++) sum[i] = __builtin_fmaf(a[i], b[i], sum[i]);
  return sum;
#endif
}

/** Rounds to the nearest integer, ties to even. */
inline Ints nearest(Vec v) {
#if defined(__AVX512F__)
  return bitsOf<Ints>(_mm512_cvtps_epi32(bitsOf<__m512>(v)));
#elif defined(__AVX2__)
  return bitsOf<Ints>(_mm256_cvtps_epi32(bitsOf<__m256>(v)));
#elif defined(__x86_64__)
  return bitsOf<Ints>(_mm_cvtps_epi32(bitsOf<__m128>(v)));
#elif defined(__aarch64__)
  return bitsOf<Ints>(vcvtnq_s32_f32(bitsOf<float32x4_t>(v)));
#else
  Ints whole;
  for (int i = 0; i < kLanes; i++) whole[i] = static_cast<int32_t>(__builtin_nearbyintf(v[i]));
  return whole;
#endif
}

/** Rounds rows [begin, end). A block with a number that is not finite has the scale NaN, which its products then have, too. */
inline void roundRows(const RoundedRows& a, int64_t begin, int64_t end) {
  // Smaller numbers count as zero: 127 divided by them would be infinite.
  constexpr float smallest = 1e-30f;
  for (int64_t b = 0; b < blocksOf(a.in); b++) {
    const int64_t size = least(kBlockOfIntegers, a.in - b * kBlockOfIntegers);
    for (int64_t row = begin; row < end; row++) {
      const float* x = a.x + row * a.in + b * kBlockOfIntegers;
      // As integers the bits of magnitudes have the same order, and a NaN is the largest.
      Ints top = {};
      byVectors(size, [&](int64_t i, int64_t count) {
        const Ints bits = bitsOf<Ints>(magnitude(load(x + i, count)));
        top = bits > top ? bits : top;
      });
      int32_t bits = 0;
      for (int i = 0; i < kLanes; i++) bits = top[i] > bits ? top[i] : bits;
      const float largest = bitsOf<float>(bits);
      const bool isFinite = largest < __builtin_inff(), counts = isFinite && largest >= smallest;
      const float factor = counts ? 127 / largest : 0;
      int8_t ordered[kBlockOfIntegers] = {};
      Ints sum = {};
      byVectors(size, [&](int64_t i, int64_t count) {
        const Ints codes = nearest(load(x + i, count) * factor);
        sum += codes;
        const Bytes bytes = __builtin_convertvector(codes, Bytes);
        std::memcpy(ordered + i, &bytes, count);
      });
      int32_t total = 0;
      for (int i = 0; i < kLanes; i++) total += sum[i];
      const int64_t at = b * a.rows + row;
      a.scales[at] = counts ? largest / 127 : isFinite ? 0 : __builtin_nanf("");
      a.offsets[at] = isFinite ? 128 * total : 0;
      int8_t* codes = a.codes + at * kBlockOfIntegers;
      constexpr int64_t half = kBlockOfIntegers / 2;
      for (int64_t i = 0; a.evenFirst && i < half; i++) {
        codes[i] = ordered[2 * i];
        codes[half + i] = ordered[2 * i + 1];
      }
      if (!a.evenFirst) std::memcpy(codes, ordered, kBlockOfIntegers);
    }
  }
}

/** The values of NF4, times 127 and rounded. */
alignas(16) constexpr int8_t kNormalIntegers[16] = {-127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127};

#if defined(__AVX512F__)
/** Codes of block b of row `row` of W: a number of them at the end of a row, then zeros. */
inline __m512i codesOf(const UnpackInt8<float>& w, int64_t in, int64_t row, int64_t b) {
  const int64_t count = in - b * kBlockOfIntegers;
  const int8_t* codes = w.codes + row * in + b * kBlockOfIntegers;
  return count >= kBlockOfIntegers ? _mm512_loadu_si512(codes) : _mm512_maskz_loadu_epi8((uint64_t{1} << count) - 1, codes);
}
/** The first of each pair of codes, then the second: x is in the same order. */
inline __m512i codesOf(const UnpackNf4<float>& w, int64_t in, int64_t row, int64_t b) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w.codes + (row * in + b * kBlockOfIntegers) / 2));
  const __m256i half = _mm256_set1_epi8(15);
  const __m256i first = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), half), second = _mm256_and_si256(pairs, half);
  const __m512i table = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kNormalIntegers)));
  return _mm512_shuffle_epi8(table, _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1));
}

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
#else
inline void codesOf(const UnpackInt8<float>& w, int64_t in, int64_t row, int64_t b, int8_t* codes) {
  const int64_t count = least(kBlockOfIntegers, in - b * kBlockOfIntegers);
  const int8_t* from = w.codes + row * in + b * kBlockOfIntegers;
  // The first is two instructions.
  if (count == kBlockOfIntegers) return void(std::memcpy(codes, from, kBlockOfIntegers));
  std::memset(codes, 0, kBlockOfIntegers);
  std::memcpy(codes, from, count);
}
inline void codesOf(const UnpackNf4<float>& w, int64_t in, int64_t row, int64_t b, int8_t* codes) {
  const uint8_t* pairs = w.codes + (row * in + b * kBlockOfIntegers) / 2;
  constexpr int half = kBlockOfIntegers / 2;
#if defined(__AVX2__)
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pairs)), low = _mm256_set1_epi8(15);
  const __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(kNormalIntegers)));
  const __m256i first = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low));
  const __m256i second = _mm256_shuffle_epi8(table, _mm256_and_si256(bytes, low));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), first);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + half), second);
#else
  for (int i = 0; i < half; i++) {
    codes[i] = kNormalIntegers[pairs[i] >> 4];
    codes[half + i] = kNormalIntegers[pairs[i] & 15];
  }
#endif
}

#if defined(__AVX2__)
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

/** Factors of a tile's blocks, (blocks, kLanes). */
inline void factorsOf(const UnpackInt8<float>&, int64_t, int64_t, int64_t, float*) {}
inline void factorsOf(const UnpackNf4<float>& w, int64_t in, int64_t m, int64_t count, float* factors) {
  const int64_t blocks = in / kBlockOfNf4;
  for (int64_t j = 0; j < kLanes; j++)
    for (int64_t b = 0; b < blocks; b++)
      factors[b * kLanes + j] = factorOf(w, (m + least(j, count - 1)) * blocks + b) * (1.0f / 127);
}
inline Vec factorOf(const UnpackInt8<float>&, const float*) { return all(1); }
inline Vec factorOf(const UnpackNf4<float>&, const float* factors) { return load(factors); }
inline Vec scaleOf(const UnpackInt8<float>& w, int64_t m, int64_t count) { return load(w.scales + m, count); }
inline Vec scaleOf(const UnpackNf4<float>&, int64_t, int64_t) { return all(1); }

/** Floats of scratch memory for `rows` rows. */
inline int64_t integerProductScratch(int64_t rows, int64_t in) { return (rows + blocksOf(in)) * kLanes; }

/** Columns [begin, end) of y. A tile of W is read once, for all rows. */
template <typename Stored>
void integerProduct(const IntegerProduct<Stored>& a, int64_t begin, int64_t end, float* scratch) {
  constexpr int kRows = 4;
  const RoundedRows& x = a.x;
  float* factors = scratch + x.rows * kLanes;
  for (int64_t m = begin; m < end; m += kLanes) {
    const int64_t count = least(kLanes, end - m);
    std::memset(scratch, 0, x.rows * kLanes * sizeof(float));
    factorsOf(a.w, x.in, m, count, factors);
    for (int64_t b = 0; b < blocksOf(x.in); b++) {
      const Tile tile(a.w, x.in, m, count, b);
      const Vec factor = factorOf(a.w, factors + b * kLanes);
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
