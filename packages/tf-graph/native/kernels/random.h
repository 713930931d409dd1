#pragma once
#include "vector.h"

namespace graft {
namespace {

/** Full-width products of the even lanes. */
inline Longs evenProducts(Words a, Words b) {
#if defined(__AVX512F__)
  return bitsOf<Longs>(_mm512_mul_epu32(bitsOf<__m512i>(a), bitsOf<__m512i>(b)));
#elif defined(__AVX2__)
  return bitsOf<Longs>(_mm256_mul_epu32(bitsOf<__m256i>(a), bitsOf<__m256i>(b)));
#elif defined(__SSE2__)
  return bitsOf<Longs>(_mm_mul_epu32(bitsOf<__m128i>(a), bitsOf<__m128i>(b)));
#else
  return (bitsOf<Longs>(a) & 0xffffffff) * (bitsOf<Longs>(b) & 0xffffffff);
#endif
}

struct Product {
  Words high, low;
};
inline Product wholeProduct(Words a, uint32_t b) {
  const Words factor = b - Words{};
  const Longs even = evenProducts(a, factor), odd = evenProducts(bitsOf<Words>(bitsOf<Longs>(a) >> 32), factor);
  return {bitsOf<Words>((even >> 32) | (odd & 0xffffffff00000000)), a * factor};
}

/** Philox with ten rounds: four random words for each of kLanes counters. Source: Salmon et al. 2011, SC '11, section 3. */
inline void philox(Words counter[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    const Product first = wholeProduct(counter[0], 0xD2511F53), second = wholeProduct(counter[2], 0xCD9E8D57);
    counter[0] = second.high ^ counter[1] ^ key0;
    counter[2] = first.high ^ counter[3] ^ key1;
    counter[1] = second.low;
    counter[3] = first.low;
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

/**
 * Dropout mask: 0 with the given probability, else 1/(1 − p). The numbers are those of TensorFlow's StatelessRandomUniform for the seed, so
 * the mask equals that of stock operations; any part of it can be drawn separately.
 */
class DropoutMask {
 public:
  explicit DropoutMask(const Dropout& dropout) {
    if (dropout.probability <= 0) return;
    const auto seed = [&](int i) { return static_cast<uint64_t>(static_cast<int64_t>(dropout.seed[i])); };
    Words words[4] = {Words{} + low(seed(0)), Words{} + high(seed(0)), Words{} + low(seed(1)), Words{} + high(seed(1))};
    philox(words, 0x3ec8f720, 0x02461e29);
    for (int i = 0; i < 4; i++) mixed_[i] = words[i][0];
    // A uniform number is a word's lowest 23 bits over 2^23. Exact, because a probability has at most 24 bits.
    const float bound = dropout.probability * 8388608.0f;
    threshold_ = static_cast<uint32_t>(bound);
    threshold_ += static_cast<float>(threshold_) < bound;
    kept_ = static_cast<float>(1 / (1 - static_cast<double>(dropout.probability)));
  }

  /** Draws elements [first, first + count). */
  void draw(uint64_t first, int64_t count, float* mask) const {
    constexpr int64_t kDrawn = 4 * kLanes;
    float drawn[kDrawn];
    int64_t skipped = first % 4;
    for (uint64_t group = first / 4; count > 0; group += kLanes) {
      drawGroups(group, drawn);
      const int64_t taken = least(count, kDrawn - skipped);
      std::memcpy(mask, drawn + skipped, taken * sizeof(float));
      mask += taken;
      count -= taken;
      skipped = 0;
    }
  }

 private:
  static uint32_t low(uint64_t x) { return static_cast<uint32_t>(x); }
  static uint32_t high(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

  /** A group is four elements, of one counter. */
  void drawGroups(uint64_t group, float* drawn) const {
    Words lane;
    for (int i = 0; i < kLanes; i++) lane[i] = i;
    const Words lower = lane + low(group);
    // A lane beyond 2^32 has wrapped around to 0.
    const Words over = bitsOf<Words>(lower < low(group) - Words{}) & 1;
    Words words[4] = {lower, over + high(group), Words{} + mixed_[2], Words{} + mixed_[3]};
    philox(words, mixed_[0], mixed_[1]);
    for (int word = 0; word < 4; word++) {
      const Ints kept = bitsOf<Ints>(words[word] & 0x7fffff) >= static_cast<int32_t>(threshold_);
      const Vec mask = kept ? all(kept_) : Vec{};
      for (int i = 0; i < kLanes; i++) drawn[4 * i + word] = mask[i];
    }
  }

  uint32_t mixed_[4] = {};
  uint32_t threshold_ = 0;
  float kept_ = 1;
};

/** Number of elements whose mask is drawn at a time. */
constexpr int64_t kMaskPiece = 256;

/** Elements [begin, end). */
template <typename T>
void dropout(const DropoutOf<T>& a, int64_t begin, int64_t end) {
  const DropoutMask draws(a.dropout);
  float mask[kMaskPiece];
  for (int64_t from = begin; from < end; from += kMaskPiece) {
    const int64_t length = least(kMaskPiece, end - from);
    draws.draw(from, length, mask);
    byVectors(length, [&](int64_t i, int64_t count) {
      store(a.y + from + i, load(a.x + from + i, count) * load(mask + i, count), count);
    });
  }
}

}  // namespace
}  // namespace graft
