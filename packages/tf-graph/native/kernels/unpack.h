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

typedef uint8_t Pairs __attribute__((vector_size(kLanes / 2)));
typedef uint16_t Doubles __attribute__((vector_size(kLanes)));
typedef uint8_t Codes __attribute__((vector_size(kLanes)));

/** Decodes kLanes / 2 bytes, each with the earlier code in its upper half. */
inline Vec normalFloats(const uint8_t* bytes) {
  Pairs pairs;
  std::memcpy(&pairs, bytes, sizeof(pairs));
  const Doubles both = __builtin_convertvector(pairs, Doubles);
  const Ints codes = __builtin_convertvector(bitsOf<Codes>((both >> 4) | ((both & 15) << 8)), Ints);
#if defined(__AVX512F__)
  return __builtin_shuffle(load(kNormalFloats), codes);
#elif defined(__AVX2__)
  return __builtin_shuffle(load(kNormalFloats), load(kNormalFloats + kLanes), codes);
#else
  Vec values;
  for (int i = 0; i < kLanes; i++) values[i] = kNormalFloats[codes[i]];
  return values;
#endif
}

template <typename T>
void unpackNf4(const UnpackNf4<T>& a, int64_t begin, int64_t end) {
  constexpr int64_t block = 64, group = 256;
  for (int64_t b = begin; b < end; b++) {
    volatile float centred = a.map[a.absmax[b]] * a.nestedAbsmax[b / group];
    const float largest = centred + a.offset;
    const uint8_t* codes = a.codes + b * block / 2;
    T* y = a.y + b * block;
    byVectors(least(block, a.size - b * block), [&](int64_t i, int64_t count) {
      store(y + i, normalFloats(codes + i / 2) * largest, count);
    });
  }
}

template <typename T>
void unpackInt8(const UnpackInt8<T>& a, int64_t begin, int64_t end) {
  typedef int8_t Bytes __attribute__((vector_size(kLanes)));
  for (int64_t row = begin; row < end; row++) {
    const int8_t* codes = a.codes + row * a.width;
    T* y = a.y + row * a.width;
    const Vec ofRow = all(a.scaleOfRows ? a.scales[row] : 0);
    byVectors(a.width, [&](int64_t i, int64_t count) {
      Bytes bytes = {};
      std::memcpy(&bytes, codes + i, count);
      const Vec scale = a.scaleOfRows ? ofRow : load(a.scales + i, count);
      store(y + i, __builtin_convertvector(__builtin_convertvector(bytes, Ints), Vec) * scale, count);
    });
  }
}

}  // namespace
}  // namespace graft
