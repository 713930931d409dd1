// Unpacks quantised weights. The arithmetic equals that of bitsandbytes, in the same order, so no product and sum may be fused.
#pragma once
#include "vector.h"

namespace graft {
namespace {

/** 4-bit NormalFloat. Source: Dettmers et al. 2023, arXiv:2305.14314, appendix E. */
constexpr float kNormalFloats[16] = {-1,
                                     -0.6961928009986877f,
                                     -0.5250730514526367f,
                                     -0.39491748809814453f,
                                     -0.28444138169288635f,
                                     -0.18477343022823334f,
                                     -0.09105003625154495f,
                                     0,
                                     0.07958029955625534f,
                                     0.16093020141124725f,
                                     0.24611230194568634f,
                                     0.33791524171829224f,
                                     0.44070982933044434f,
                                     0.5626170039176941f,
                                     0.7229568362236023f,
                                     1};

#if defined(__AVX512F__)
inline Bytes lowBytesOf(__m128i bytes) { return bitsOf<Bytes>(bytes); }
#elif defined(__AVX2__)
inline Bytes lowBytesOf(__m128i bytes) { return bitsOf<Bytes>(_mm_cvtsi128_si64(bytes)); }
#endif

/** Decodes kLanes / 2 bytes, each with the earlier code in its upper half. */
inline Vec normalFloats(const uint8_t* bytes) {
#if defined(__AVX512F__) || defined(__AVX2__)
  uint64_t packed = 0;
  std::memcpy(&packed, bytes, kLanes / 2);
  const __m128i pairs = _mm_cvtsi64_si128(packed), half = _mm_set1_epi8(15);
  const __m128i first = _mm_and_si128(_mm_srli_epi16(pairs, 4), half);
  const Ints codes = intsOf(lowBytesOf(_mm_unpacklo_epi8(first, _mm_and_si128(pairs, half))));
#endif
#if defined(__AVX512F__)
  return bitsOf<Vec>(_mm512_permutexvar_ps(bitsOf<__m512i>(codes), _mm512_loadu_ps(kNormalFloats)));
#elif defined(__AVX2__)
  return __builtin_shuffle(load(kNormalFloats), load(kNormalFloats + kLanes), codes);
#else
  Vec values;
  for (int i = 0; i < kLanes; i++) values[i] = kNormalFloats[i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15];
  return values;
#endif
}

constexpr int64_t kBlockOfNf4 = 64;
/** Blocks whose absmax share a nested absmax. */
constexpr int64_t kGroupOfNf4 = 256;

/** The factor of the weights of block b. */
template <typename T>
inline float factorOf(const UnpackNf4<T>& a, int64_t b) {
  volatile float centred = a.map[a.absmax[b]] * a.nestedAbsmax[b / kGroupOfNf4];
  return centred + a.offset;
}

/** The factors of blocks [first, first + count). */
inline void factorsOf(const UnpackNf4<float>& a, int64_t first, int64_t count, float* factors) {
#if defined(__AVX512F__)
  for (int64_t i = 0, size; i < count; i += size) {
    const int64_t b = first + i;
    size = least(least(kLanes, count - i), kGroupOfNf4 - b % kGroupOfNf4);
    const __mmask16 some = static_cast<__mmask16>((1u << size) - 1);
    const __m512i levels = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(some, a.absmax + b));
    const __m512 largest = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), some, levels, a.map, 4);
    __m512 centred = _mm512_mul_ps(largest, _mm512_set1_ps(a.nestedAbsmax[b / kGroupOfNf4]));
    // The product is rounded before the sum, as in `factorOf`.
    asm("" : "+v"(centred));
    store(factors + i, bitsOf<Vec>(centred) + a.offset, size);
  }
#else
  for (int64_t i = 0; i < count; i++) factors[i] = factorOf(a, first + i);
#endif
}

template <typename T>
void unpackNf4(const UnpackNf4<T>& a, int64_t begin, int64_t end) {
  for (int64_t b = begin; b < end; b++) {
    const float factor = factorOf(a, b);
    const uint8_t* codes = a.codes + b * kBlockOfNf4 / 2;
    T* y = a.y + b * kBlockOfNf4;
    byVectors(least(kBlockOfNf4, a.size - b * kBlockOfNf4), [&](int64_t i, int64_t count) {
      store(y + i, normalFloats(codes + i / 2) * factor, count);
    });
  }
}

template <typename T>
void unpackInt8(const UnpackInt8<T>& a, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; row++) {
    const int8_t* codes = a.codes + row * a.width;
    T* y = a.y + row * a.width;
    const Vec ofRow = all(a.scaleOfRows ? a.scales[row] : 0);
    byVectors(a.width, [&](int64_t i, int64_t count) {
      Bytes bytes = {};
      std::memcpy(&bytes, codes + i, count);
      const Vec scale = a.scaleOfRows ? ofRow : load(a.scales + i, count);
      store(y + i, __builtin_convertvector(intsOf(bytes), Vec) * scale, count);
    });
  }
}

}  // namespace
}  // namespace graft
