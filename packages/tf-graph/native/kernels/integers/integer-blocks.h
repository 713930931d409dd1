// Blocks of integers: rows of x rounded to 8 bits, and the codes and factors of weights of 8 or 4 bits.
#pragma once
#include "../matrix-units.h"
#include "../row-products.h"

namespace graft {
namespace {

/** Consecutive numbers of a row of x that share a scale, and those of W that are read together; a block of NF4. */
constexpr int64_t kBlockOfIntegers = kBlockOfNf4;
/** A block in groups of four numbers, the operand of an instruction. */
constexpr int kGroups = kBlockOfIntegers / 4;

inline int64_t blocksOf(int64_t in) { return (in + kBlockOfIntegers - 1) / kBlockOfIntegers; }

#ifdef __AMX_INT8__
/** Whether matrix units multiply x: fewer rows are multiplied as fast, or faster, without them. */
inline bool byTiles(int64_t rows) { return rows >= 6; }
/** Rounded numbers for matrix units, (tiles of 16 rows, blocks, 16 groups of four numbers, rows): the right factors of their instruction. */
inline void storeForTiles(const RoundedRows& a, int64_t row, int64_t b, const int8_t* ordered) {
  int8_t* tile = a.codes + ((row / kSide * blocksOf(a.in) + b) * kGroups * kSide + row % kSide) * 4;
  const __m512i places = _mm512_slli_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 4);
  _mm512_i32scatter_epi32(tile, places, _mm512_loadu_si512(ordered), 4);
}
#endif

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
      int8_t codes[kBlockOfIntegers];
      constexpr int64_t half = kBlockOfIntegers / 2;
      for (int64_t i = 0; a.evenFirst && i < half; i++) {
        codes[i] = ordered[2 * i];
        codes[half + i] = ordered[2 * i + 1];
      }
      const int8_t* wanted = a.evenFirst ? codes : ordered;
#ifdef __AMX_INT8__
      if (byTiles(a.rows)) {
        storeForTiles(a, row, b, wanted);
        continue;
      }
#endif
      std::memcpy(a.codes + at * kBlockOfIntegers, wanted, kBlockOfIntegers);
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
#endif

/** Factors of the blocks of rows [m, m + count) of W, (count, blocks), with the rounded table. */
inline void tableFactors(const UnpackInt8<float>&, int64_t, int64_t, int64_t, float*) {}
inline void tableFactors(const UnpackNf4<float>& w, int64_t in, int64_t m, int64_t count, float* factors) {
  const int64_t blocks = in / kBlockOfNf4, size = count * blocks;
  factorsOf(w, m * blocks, size, factors);
  byVectors(size, [&](int64_t i, int64_t lanes) { store(factors + i, load(factors + i, lanes) * (1.0f / 127), lanes); });
}
inline Vec scaleOf(const UnpackInt8<float>& w, int64_t m, int64_t count) { return load(w.scales + m, count); }
inline Vec scaleOf(const UnpackNf4<float>&, int64_t, int64_t) { return all(1); }

}  // namespace
}  // namespace graft
