// Attention over a cache of keys and values in blocks, which sequences hold in any order. The sums of a query do not depend on the queries
// that are computed with it.
#pragma once
#include "attention.h"
#include "row-products.h"

namespace graft {
namespace {

/** Address of position `position` of sequence `s` in the cache. */
inline float* cached(const CachedAttention& a, const CachedSequence& s, int64_t position) {
  return a.cache + (s.blocks[position / a.blockRows] * a.blockRows + position % a.blockRows) * a.cacheWidth;
}

/** Stores the keys (rotated) and the values of sequence `index`'s new positions in the cache. */
inline void cacheKeysAndValues(const CachedAttention& a, int64_t index) {
  const CachedSequence& s = a.sequences[index];
  const int64_t shared = a.kvHeads * a.headSize;
  Attention<float> turned{};
  turned.headSize = a.headSize;
  turned.half = a.half;
  turned.cosines = a.cosines;
  turned.sines = a.sines;
  for (int64_t n = s.begin; n < s.end; n++) {
    float* row = cached(a, s, s.before + n - s.begin);
    for (int64_t head = 0; head < a.kvHeads; head++)
      loadHead(turned, a.k + head * a.headSize, shared, true, 1, n, 1, a.headSize, row + head * a.headSize);
    std::memcpy(row + shared, a.v + n * shared, shared * sizeof(float));
  }
}

/** Floats of scratch memory for queries that attend to up to `keys` positions. */
int64_t cachedAttentionScratch(int64_t keys, int64_t headSize, int64_t group) {
  return kBlock * group * (padded(keys) + 2 * headSize);
}

/** Queries [first, first + kBlock) of a sequence, of all heads that share key head `kvHead`. */
inline void cachedAttention(const CachedAttention& a, const CachedTask& task, float* memory) {
  const CachedSequence& s = a.sequences[task.sequence];
  const int64_t D = a.headSize, group = a.heads / a.kvHeads, shared = a.kvHeads * D, own = a.heads * D;
  const int64_t count = least(kBlock, s.end - s.begin - task.first), rows = count * group;
  const int64_t position = s.before + task.first, keys = position + count;
  const int64_t width = padded(keys);
  const auto seenFrom = [&](int64_t query) { return a.window > 0 ? most(0, position + query + 1 - a.window) : 0; };
  const int64_t firstBlock = seenFrom(0) / a.blockRows;
  Scratch scratch{memory};
  float* queries = scratch.take(rows * D);
  float* sums = scratch.take(rows * D);
  float* scores = scratch.take(rows * width);
  Attention<float> turned{};
  turned.headSize = D;
  turned.half = a.half;
  turned.cosines = a.cosines;
  turned.sines = a.sines;
  for (int64_t h = 0; h < group; h++)
    loadHead(turned, a.q + (task.kvHead * group + h) * D, own, true, a.scale, s.begin + task.first, count, D,
             queries + h * count * D);
  const auto eachBlock = [&](auto&& body) {
    for (int64_t from = firstBlock * a.blockRows; from < keys; from += a.blockRows)
      body(from, least(a.blockRows, keys - from), cached(a, s, from) + task.kvHead * D);
  };
  eachBlock([&](int64_t from, int64_t n, const float* keysOfBlock) {
    timesTransposed(queries, D, rows, keysOfBlock, a.cacheWidth, n, D, scores + from, width);
  });
  const int64_t begin = firstBlock * a.blockRows / kLanes * kLanes;
  for (int64_t r = 0; r < rows; r++) {
    float* row = scores + r * width;
    const int64_t from = seenFrom(r % count), to = position + r % count + 1;
    Vec largest = all(-__builtin_inff());
    for (int64_t j = begin; j < keys; j += kLanes)
      largest = larger(largest, only(load(row + j, least(kLanes, keys - j)), from - j, to - j, -__builtin_inff()));
    const float* sink = a.sinks ? a.sinks + task.kvHead * group + r / count : nullptr;
    const float top = topWith(sink, largestOf(largest));
    Vec total = {};
    for (int64_t j = begin; j < keys; j += kLanes) {
      const Vec p = only(exponential(load(row + j, least(kLanes, keys - j)) - top), from - j, to - j);
      total += p;
      store(row + j, p, least(kLanes, keys - j));
    }
    const float inverse = 1.0f / (sumOf(total) + shareOf(sink, top));
    for (int64_t j = begin; j < keys; j += kLanes) store(row + j, load(row + j) * inverse);
  }
  std::memset(sums, 0, rows * D * sizeof(float));
  eachBlock([&](int64_t from, int64_t n, const float* keysOfBlock) {
    addTimes(scores + from, width, rows, keysOfBlock + shared, a.cacheWidth, D, n, sums, D);
  });
  for (int64_t h = 0; h < group; h++)
    for (int64_t i = 0; i < count; i++)
      std::memcpy(a.y + (s.begin + task.first + i) * own + (task.kvHead * group + h) * D, sums + (h * count + i) * D,
                  D * sizeof(float));
}

}  // namespace
}  // namespace graft
