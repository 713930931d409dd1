// Attention of one segment and one key head at a time. The keys are those of its prefixes, then the segment's own. A block of queries,
// with all query heads that share the key head stacked, is multiplied with the keys in one product. Only the scores of one block are
// stored, so memory grows linearly with a sequence's length; the backward pass recomputes them from the sum of each softmax. Source of the
// idea: Dao et al. 2022, arXiv:2205.14135.
#pragma once
#include "matrix-units.h"
#include "random.h"

namespace graft {
namespace {

/** Number of queries in a block, for each query head. */
constexpr int64_t kBlock = 16;

struct Task {
  Segment segment;
  int64_t index, kvHead, group, keys;
  /** Widths of a head and of the keys, padded to whole vectors. */
  int64_t headWidth, keyWidth;
};

template <typename T>
Task taskOf(const Attention<T>& a, int64_t task) {
  Task t;
  t.index = task / a.kvHeads;
  t.segment = a.segments[t.index];
  t.kvHead = task % a.kvHeads;
  t.group = a.heads / a.kvHeads;
  t.keys = a.keysOf(t.segment);
  t.headWidth = padded(a.headSize);
  t.keyWidth = padded(t.keys);
  return t;
}

/** Number of distances between a segment's positions and its keys (own + keys − 1), padded, plus a vector past the end. */
int64_t biasGradientWidth(int64_t own, int64_t keys) { return padded(own + keys) + kLanes; }

int64_t attentionScratch(int64_t own, int64_t keys, int64_t headSize, int64_t group, bool gradient) {
  const int64_t D = padded(headSize), rows = kBlock * group, width = padded(keys);
  const int64_t forward =
      2 * keys * D + D * width + rows * width + 2 * rows * D + width + group * biasGradientWidth(own, keys);
  return gradient ? forward + D * width + rows * width + 2 * rows * D : forward;
}

int64_t keyGradientWidth(int64_t headSize) { return 2 * padded(headSize); }

/** Product of factors stored as T: matrix units round to bfloat16 what was stored as bfloat16 or computed from it. */
template <typename T>
inline void productOf(Factor a, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t M, int64_t N, int64_t K,
                      bool add = false) {
#ifdef __AMX_BF16__
  if (sizeof(T) == sizeof(Bfloat16)) return productByTiles(a, b, ldb, c, ldc, M, N, K, add);
#endif
  product(a, b, ldb, c, ldc, M, N, K, add);
}

/** Allocates from the scratch memory. */
struct Scratch {
  float* next;
  float* take(int64_t count) {
    float* piece = next;
    next += count;
    return piece;
  }
};

/** Loads rows [from, from + count) of one head as float32, `D` apart, scaled and, with `cosines`, rotated. The padding is 0. */
template <typename T>
void loadHead(const Attention<T>& a, const T* head, int64_t stride, bool rotated, float scale, int64_t from, int64_t count,
              int64_t D, float* out) {
  const int64_t half = rotated ? a.half : 0;
  for (int64_t i = 0; i < count; i++) {
    const T* x = head + (from + i) * stride;
    float* y = out + i * D;
    if (D > a.headSize) std::memset(y, 0, D * sizeof(float));
    const float* cosines = a.cosines + (from + i) * half;
    const float* sines = a.sines + (from + i) * half;
    byVectors(half, [&](int64_t j, int64_t n) {
      const Vec first = load(x + j, n), second = load(x + half + j, n);
      const Vec c = load(cosines + j, n) * scale, s = load(sines + j, n) * scale;
      store(y + j, first * c - second * s, n);
      store(y + half + j, second * c + first * s, n);
    });
    byVectors(a.headSize - 2 * half, [&](int64_t j, int64_t n) {
      store(y + 2 * half + j, load(x + 2 * half + j, n) * scale, n);
    });
  }
}

/** Inverse of loadHead, for gradients: rotated back, and scaled. */
template <typename T>
void storeHead(const Attention<T>& a, const float* in, int64_t D, bool rotated, float scale, int64_t from, int64_t count, T* head,
               int64_t stride) {
  const int64_t half = rotated ? a.half : 0;
  for (int64_t i = 0; i < count; i++) {
    const float* x = in + i * D;
    T* y = head + (from + i) * stride;
    const float* cosines = a.cosines + (from + i) * half;
    const float* sines = a.sines + (from + i) * half;
    byVectors(half, [&](int64_t j, int64_t n) {
      const Vec first = load(x + j, n), second = load(x + half + j, n);
      const Vec c = load(cosines + j, n) * scale, s = load(sines + j, n) * scale;
      store(y + j, first * c + second * s, n);
      store(y + half + j, second * c - first * s, n);
    });
    byVectors(a.headSize - 2 * half, [&](int64_t j, int64_t n) {
      store(y + 2 * half + j, load(x + 2 * half + j, n) * scale, n);
    });
  }
}

/** (rows, D) → (D, width). */
void transpose(const float* in, int64_t rows, int64_t D, float* out, int64_t width) {
  for (int64_t from = 0; from < rows; from += kLanes) {
    const int64_t to = least(rows, from + kLanes);
    for (int64_t d = 0; d < D; d++)
      for (int64_t r = from; r < to; r++) out[d * width + r] = in[r * D + d];
  }
  for (int64_t d = 0; d < D; d++) std::memset(out + d * width + rows, 0, (width - rows) * sizeof(float));
}

/** Positions [position, position + count), the keys from `first` on. */
struct KeyRange {
  int64_t position, first, count;
};
/** The keys of a task: of the outer prefix, of the inner one, and the segment's own. */
struct KeyRanges {
  KeyRange of[3];
};
KeyRanges keyRangesOf(const Task& t) {
  const Segment& s = t.segment;
  const int64_t prefix = s.prefix();
  return {{{s.outerBegin, 0, s.outer()}, {s.innerBegin, s.outer(), s.inner()}, {s.begin, prefix, t.keys - prefix}}};
}

/** Loads the head's keys (rotated) and values. */
template <typename T>
void loadKeysAndValues(const Attention<T>& a, const Task& t, float* keys, float* values) {
  const int64_t D = t.headWidth;
  const KeyRanges ranges = keyRangesOf(t);
  for (const KeyRange& range : ranges.of) {
    loadHead(a, a.k + t.kvHead * a.headSize, a.kStride, true, 1, range.position, range.count, D, keys + range.first * D);
    loadHead(a, a.v + t.kvHead * a.headSize, a.vStride, false, 1, range.position, range.count, D, values + range.first * D);
  }
}

/** Index of a query's bias for the first key, in the group's table of biases, which is ordered by distance. */
int64_t biasAt(const Task& t, int64_t query) { return t.segment.own() - 1 - query; }

/** Row of `bias` for an index of that table. */
template <typename T>
int64_t biasRow(const Attention<T>& a, const Segment& s, int64_t at) {
  const int64_t later = at - (s.own() - 1) - s.prefix();
  return most(-a.reach, least(a.reach, later)) + a.reach;
}

/** Fills (group, biasGradientWidth) with the bias of every distance within the segment. */
template <typename T>
void loadBiases(const Attention<T>& a, const Task& t, float* biases) {
  const int64_t width = biasGradientWidth(t.segment.own(), t.keys);
  for (int64_t h = 0; h < t.group; h++)
    for (int64_t at = 0; at < width; at++)
      biases[h * width + at] = a.bias[biasRow(a, t.segment, at) * a.heads + t.kvHead * t.group + h];
}

/** Draws the dropout mask of a query's probabilities for the keys [from, to). */
template <typename T>
void drawMask(const Attention<T>& a, const Task& t, const DropoutMask& draws, int64_t head, int64_t query, int64_t from,
              int64_t to, float* mask) {
  const uint64_t row = (static_cast<uint64_t>(head) * a.rows + t.segment.begin + query) * a.keyRows;
  const KeyRanges ranges = keyRangesOf(t);
  for (const KeyRange& range : ranges.of) {
    const int64_t first = most(from, range.first), last = least(to, range.first + range.count);
    if (last > first) draws.draw(row + range.position + first - range.first, last - first, mask + first - from);
  }
}

/** Adds n numbers, in whole vectors. */
inline void addTo(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(to + i, load(to + i) + load(from + i));
}
inline void multiplyBy(float* by, const float* factors, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(by + i, load(by + i) * load(factors + i));
}

/** The keys [from, to) that a query attends to. */
struct Seen {
  int64_t from, to;
};
template <typename T>
Seen seenBy(const Attention<T>& a, const Task& t, int64_t query) {
  if (!a.causal) return {0, t.keys};
  const int64_t to = t.segment.prefix() + query + 1;
  return {a.window > 0 ? most(0, to - a.window) : 0, to};
}

/** The largest score of a softmax that also counts a sink, if there is one. */
inline float topWith(const float* sink, float top) { return sink && *sink > top ? *sink : top; }
/** What the sink adds to the sum of a softmax's exponentials. */
inline float shareOf(const float* sink, float top) { return sink ? __builtin_expf(*sink - top) : 0; }

/** Queries [first, first + count) of a segment, of all heads of the group: row head · count + query. */
struct Block {
  int64_t first, count, rows;
  /** The keys that any of these queries attends to: from a multiple of the vector length to the last. */
  int64_t from, to, width;
};
template <typename T>
Block blockOf(const Attention<T>& a, const Task& t, int64_t first) {
  Block b;
  b.first = first;
  b.count = least(kBlock, t.segment.own() - first);
  b.rows = b.count * t.group;
  b.from = seenBy(a, t, first).from / kLanes * kLanes;
  b.to = seenBy(a, t, first + b.count - 1).to;
  b.width = padded(b.to - b.from);
  return b;
}

template <typename T>
void loadQueries(const Attention<T>& a, const Task& t, const Block& b, float* queries) {
  for (int64_t h = 0; h < t.group; h++)
    loadHead(a, a.q + (t.kvHead * t.group + h) * a.headSize, a.qStride, true, a.scale, t.segment.begin + b.first, b.count,
             t.headWidth, queries + h * b.count * t.headWidth);
}

template <typename T>
void attention(const Attention<T>& a, int64_t task, float* memory) {
  const Task t = taskOf(a, task);
  if (t.segment.own() == 0 || t.keys == 0) return;
  Scratch scratch{memory};
  const int64_t D = t.headWidth, rows = kBlock * t.group;
  float* keys = scratch.take(t.keys * D);
  float* values = scratch.take(t.keys * D);
  float* turned = scratch.take(D * t.keyWidth);
  float* scores = scratch.take(rows * t.keyWidth);
  float* queries = scratch.take(rows * D);
  float* sums = scratch.take(rows * D);
  float* mask = scratch.take(t.keyWidth);
  const int64_t biasWidth = biasGradientWidth(t.segment.own(), t.keys);
  float* biases = scratch.take(t.group * biasWidth);
  const DropoutMask draws(a.dropout);
  const bool drops = a.dropout.probability > 0;
  std::memset(mask, 0, t.keyWidth * sizeof(float));
  if (a.bias) loadBiases(a, t, biases);
  loadKeysAndValues(a, t, keys, values);
  transpose(keys, t.keys, D, turned, t.keyWidth);

  for (int64_t first = 0; first < t.segment.own(); first += kBlock) {
    const Block b = blockOf(a, t, first);
    loadQueries(a, t, b, queries);
    productOf<T>({queries, D, 1}, turned + b.from, t.keyWidth, scores, t.keyWidth, b.rows, b.width, D);
    for (int64_t r = 0; r < b.rows; r++) {
      float* row = scores + r * t.keyWidth;
      const int64_t query = first + r % b.count, head = r / b.count;
      const Seen seen = seenBy(a, t, query);
      const int64_t from = seen.from - b.from, to = seen.to - b.from;
      if (a.bias) addTo(row, biases + head * biasWidth + biasAt(t, query) + b.from, b.width);
      // Comparisons ignore a NaN here; the sum detects it.
      Vec largest = all(-__builtin_inff());
      for (int64_t j = 0; j < b.width; j += kLanes) largest = larger(largest, only(load(row + j), from - j, to - j, -__builtin_inff()));
      const float* sink = a.sinks ? a.sinks + t.kvHead * t.group + head : nullptr;
      const float top = topWith(sink, largestOf(largest));
      Vec total = {};
      for (int64_t j = 0; j < b.width; j += kLanes) {
        const Vec p = only(exponential(load(row + j) - top), from - j, to - j);
        total += p;
        store(row + j, p);
      }
      const float sum = sumOf(total) + shareOf(sink, top);
      a.logSums[(t.segment.begin + query) * a.heads + t.kvHead * t.group + head] = top + __builtin_logf(sum);
      const float inverse = 1.0f / sum;
      for (int64_t j = 0; j < b.width; j += kLanes) store(row + j, load(row + j) * inverse);
      if (!drops) continue;
      drawMask(a, t, draws, t.kvHead * t.group + head, query, b.from, b.to, mask);
      multiplyBy(row, mask, b.width);
    }
    productOf<T>({scores, t.keyWidth, 1}, values + b.from * D, D, sums, D, b.rows, D, b.to - b.from);
    for (int64_t h = 0; h < t.group; h++)
      storeHead(a, sums + h * b.count * D, D, false, 1, t.segment.begin + first, b.count,
                a.y + (t.kvHead * t.group + h) * a.headSize, a.heads * a.headSize);
  }
}

}  // namespace
}  // namespace graft
