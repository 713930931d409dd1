// Vectors of the instruction set for which this file is compiled: kLanes float32 numbers at a time, optionally stored as bfloat16. Uses the
// compiler's vector types; intrinsics only for operations that these lack. Everything is static: the same code exists once for each
// instruction set in one library, and the linker must not mix them.
#pragma once

#include <cstdint>
#include <cstring>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "kernels.h"

namespace graft {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef uint64_t Longs __attribute__((vector_size(4 * kLanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));

inline Vec all(float x) { return x - Vec{}; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
/** n rounded up to whole vectors. */
inline int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

template <typename To, typename From>
inline To bitsOf(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// Intrinsics below, since compilers convert vectors of narrow integers in many small steps.

/** Each of the halves as an unsigned number. */
inline Words wordsOf(Halves h) {
#if defined(__AVX512F__)
  return bitsOf<Words>(_mm512_cvtepu16_epi32(bitsOf<__m256i>(h)));
#elif defined(__AVX2__)
  return bitsOf<Words>(_mm256_cvtepu16_epi32(bitsOf<__m128i>(h)));
#else
  return __builtin_convertvector(h, Words);
#endif
}

inline Vec widened(Halves h) { return bitsOf<Vec>(wordsOf(h) << 16); }

typedef int8_t Bytes __attribute__((vector_size(kLanes)));

/** Each of the signed bytes as a number. */
inline Ints intsOf(Bytes bytes) {
#if defined(__AVX512F__)
  return bitsOf<Ints>(_mm512_cvtepi8_epi32(bitsOf<__m128i>(bytes)));
#elif defined(__AVX2__)
  return bitsOf<Ints>(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(bitsOf<int64_t>(bytes))));
#else
  return __builtin_convertvector(bytes, Ints);
#endif
}

/** Rounds to the nearest bfloat16, ties to even; a NaN stays a NaN. */
inline Halves narrowed(Vec v) {
#ifdef __AVX512BF16__
  return bitsOf<Halves>(_mm512_cvtneps_pbh(bitsOf<__m512>(v)));
#else
  const Words bits = bitsOf<Words>(v);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Words quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector(bitsOf<Words>((v == v) ? bitsOf<Ints>(rounded) : bitsOf<Ints>(quiet)), Halves);
#endif
}

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
inline Vec load(const Bfloat16* p) {
  Halves h;
  std::memcpy(&h, p, sizeof(h));
  return widened(h);
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof(v)); }
inline void store(Bfloat16* p, Vec v) {
  const Halves h = narrowed(v);
  std::memcpy(p, &h, sizeof(h));
}

/** Loads or stores the first `count` of a vector's numbers; the others read as 0 and are not written. */
template <typename T>
inline Vec load(const T* p, int64_t count) {
  if (count == kLanes) return load(p);
  T part[kLanes] = {};
  std::memcpy(part, p, count * sizeof(T));
  return load(part);
}
template <typename T>
inline void store(T* p, Vec v, int64_t count) {
  if (count == kLanes) return store(p, v);
  T part[kLanes];
  store(part, v);
  std::memcpy(p, part, count * sizeof(T));
}

/** Calls body(i, count) for the numbers from 0 to n, a vector at a time; the last call may have fewer. */
template <typename Body>
inline void byVectors(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, static_cast<int64_t>(kLanes));
  if (i < n) body(i, n - i);
}

inline Vec larger(Vec a, Vec b) { return a < b ? b : a; }
inline Vec smaller(Vec a, Vec b) { return b < a ? b : a; }

/** Sums in a fixed order, whatever the compiler: halves are added to halves. */
inline float sumOf(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
}
inline float largestOf(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  float largest = lanes[0];
  for (int i = 1; i < kLanes; i++) largest = lanes[i] > largest ? lanes[i] : largest;
  return largest;
}

/** Lanes `from` to `to` of v, `other` in the rest. */
inline Vec only(Vec v, int64_t from, int64_t to, float other = 0) {
  Ints lane;
  for (int i = 0; i < kLanes; i++) lane[i] = i;
  const Ints first = lane >= static_cast<int32_t>(from), last = lane < static_cast<int32_t>(to);
  return (first & last) ? v : all(other);
}

/**
 * e^x to 2 units in the last place, within float32's normal numbers: x is clamped to [−87.3, 88.3] first. Computed as 2^n · e^r with |r| ≤
 * ln 2 / 2, and e^r by its Taylor series up to r^7. A NaN stays a NaN.
 */
inline Vec exponential(Vec x) {
  x = x < all(-87.3f) ? all(-87.3f) : x;
  x = x > all(88.3f) ? all(88.3f) : x;
  // Rounds to the nearest integer: after adding 1.5 · 2^23 there are no bits for a fraction.
  const Vec whole = (x * 1.44269504f + 12582912.f) - 12582912.f;
  // ln 2 in two parts; the first has so few bits that its product is exact.
  const Vec r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Vec p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints exponent = (__builtin_convertvector(whole, Ints) + 127) << 23;
  return p * bitsOf<Vec>(exponent);
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exponential(-x)); }

inline Vec magnitude(Vec x) { return bitsOf<Vec>(bitsOf<Words>(x) & 0x7fffffff); }

/** By its continued fraction within ±0.6, where 1 − 2σ would lose precision; to 3 units in the last place. A NaN stays a NaN. */
inline Vec hyperbolicTangent(Vec x) {
  const Vec s = x * x;
  const Vec near = x * (10395.0f + s * (1260.0f + s * 21.0f)) / (10395.0f + s * (4725.0f + s * (210.0f + s)));
  const Vec far = 2.0f * sigmoid(2.0f * x) - 1.0f;
  return magnitude(x) < all(0.6f) ? near : far;
}

}  // namespace
}  // namespace graft
