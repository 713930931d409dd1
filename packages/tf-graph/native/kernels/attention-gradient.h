// Backward pass of attention over segments; the forward pass is in attention.h.
#pragma once
#include "attention.h"

namespace graft {
namespace {

/** Where the gradients of a range's keys and values are accumulated. */
struct KeySlots {
  float *keys, *values;
};
template <typename T>
KeySlots keySlotsOf(const AttentionGradient<T>& g, const Task& t, const KeyRange& range) {
  const int64_t size = range.size() * t.headWidth;
  float* keys = g.keyGradients + range.slot + t.kvHead * 2 * size;
  return {keys, keys + size};
}

/** Adds slopesᵀ · queries to the gradients of the block's keys, and scoresᵀ · dys to those of its values. */
template <typename T>
void addKeyGradients(const AttentionGradient<T>& g, const Task& t, const Block& b, const float* slopes, const float* queries,
                     const float* scores, const float* dys) {
  const int64_t D = t.headWidth, width = t.keyWidth;
  eachRange(t.segment, [&](const KeyRange& range, int64_t at) {
    const int64_t first = most(b.from, at), count = least(b.to, at + range.size()) - first;
    if (count <= 0) return;
    const KeySlots slots = keySlotsOf(g, t, range);
    const int64_t column = first - b.from, offset = (first - at) * D;
    productOf<T>({slopes + column, 1, width}, queries, D, slots.keys + offset, D, count, D, b.rows, true);
    productOf<T>({scores + column, 1, width}, dys, D, slots.values + offset, D, count, D, b.rows, true);
  });
}

/** Computes gradients of the queries, and adds gradients of keys and values to the segment's slots. */
template <typename T>
void attentionGradient(const AttentionGradient<T>& g, int64_t task, float* memory) {
  const Attention<T>& a = g.forward;
  const Task t = taskOf(a, task);
  const Segment& segment = t.segment;
  if (segment.own() == 0 || segment.keys == 0) return;
  Scratch scratch{memory};
  const int64_t D = t.headWidth, rows = kBlock * t.group, width = t.keyWidth;
  float* keys = scratch.take(segment.keys * D);
  float* values = scratch.take(segment.keys * D);
  float* turnedKeys = scratch.take(D * width);
  float* turnedValues = scratch.take(D * width);
  float* scores = scratch.take(rows * width);
  float* slopes = scratch.take(rows * width);
  float* queries = scratch.take(rows * D);
  float* dys = scratch.take(rows * D);
  float* dQueries = scratch.take(rows * D);
  float* mask = scratch.take(width);
  const int64_t biasWidth = biasGradientWidth(segment.own(), segment.keys);
  float* biases = scratch.take(t.group * biasWidth);
  const DropoutMask draws(a.dropout);
  const bool drops = a.dropout.probability > 0;
  std::memset(mask, 0, width * sizeof(float));
  float* dBiases = nullptr;
  if (a.bias) {
    loadBiases(a, t, biases);
    dBiases = g.biasGradients + g.biasSlots[t.index] + t.kvHead * t.group * biasWidth;
    std::memset(dBiases, 0, t.group * biasWidth * sizeof(float));
  }
  const auto clear = [&](const KeyRange& range) {
    std::memset(keySlotsOf(g, t, range).keys, 0, range.size() * 2 * D * sizeof(float));
  };
  if (g.opensSlot[t.index]) clear(segment.ranges[0]);
  if (!a.cross) clear(segment.ranges[segment.rangeCount - 1]);
  loadKeysAndValues(a, t, keys, values);
  transpose(keys, segment.keys, D, turnedKeys, width);
  transpose(values, segment.keys, D, turnedValues, width);

  for (int64_t first = 0; first < segment.own(); first += kBlock) {
    const Block b = blockOf(a, t, first);
    const int64_t position = segment.begin + first;
    loadQueries(a, t, b, queries);
    for (int64_t h = 0; h < t.group; h++)
      loadHead(a, g.dy + (t.kvHead * t.group + h) * a.headSize, a.heads * a.headSize, false, 1, position, b.count, D,
               dys + h * b.count * D);
    productOf<T>({queries, D, 1}, turnedKeys + b.from, width, scores, width, b.rows, b.width, D);
    productOf<T>({dys, D, 1}, turnedValues + b.from, width, slopes, width, b.rows, b.width, D);
    for (int64_t r = 0; r < b.rows; r++) {
      float* row = scores + r * width;
      float* slope = slopes + r * width;
      const int64_t query = first + r % b.count, n = segment.begin + query;
      const int64_t head = t.kvHead * t.group + r / b.count;
      const int64_t biased = r / b.count * biasWidth + biasAt(t, query) + b.from;
      const Seen seen = seenBy(a, t, query);
      const int64_t from = seen.from - b.from, to = seen.to - b.from;
      if (a.bias) addTo(row, biases + biased, b.width);
      if (drops) {
        drawMask(a, t, draws, head, query, b.from, b.to, mask);
        multiplyBy(slope, mask, b.width);
      }
      const T* y = a.y + (n * a.heads + head) * a.headSize;
      Vec products = {};
      byVectors(a.headSize, [&](int64_t d, int64_t count) {
        products += load(y + d, count) * load(dys + r * D + d, count);
      });
      const float mean = sumOf(products), logSum = a.logSums[n * a.heads + head];
      for (int64_t j = 0; j < b.width; j += kLanes) {
        const Vec p = only(exponential(load(row + j) - logSum), from - j, to - j);
        store(row + j, drops ? p * load(mask + j) : p);
        store(slope + j, p * (load(slope + j) - mean));
      }
      if (a.bias) addTo(dBiases + biased, slope, b.width);
    }
    productOf<T>({slopes, width, 1}, keys + b.from * D, D, dQueries, D, b.rows, D, b.to - b.from);
    addKeyGradients(g, t, b, slopes, queries, scores, dys);
    for (int64_t h = 0; h < t.group; h++)
      storeHead(a, dQueries + h * b.count * D, D, true, a.scale, position, b.count,
                g.dq + (t.kvHead * t.group + h) * a.headSize, a.qStride);
  }
}

template <typename T>
void attentionKeyGradient(const AttentionGradient<T>& g, int64_t task) {
  const Attention<T>& a = g.forward;
  const Task t = taskOf(a, task);
  if (t.segment.own() == 0 || t.segment.keys == 0) return;
  const int64_t D = t.headWidth;
  const KeyRange& own = t.segment.ranges[t.segment.rangeCount - 1];
  const KeySlots slots = keySlotsOf(g, t, own);
  // In the order of the segments, so that runs repeat bit for bit. A memory has one reader.
  for (int64_t i = 0; i < g.segmentCount && !a.cross; i++) {
    if (!g.opensSlot[i]) continue;
    const KeyRange& shared = a.segments[i].ranges[0];
    if (shared.begin < own.begin || shared.end > own.end) continue;
    const KeySlots others = keySlotsOf(g, t, shared);
    const int64_t at = (shared.begin - own.begin) * D, count = shared.size() * D;
    addTo(slots.keys + at, others.keys, count);
    addTo(slots.values + at, others.values, count);
  }
  storeHead(a, slots.keys, D, true, 1, own.begin, own.size(), g.dk + t.kvHead * a.headSize, a.kStride);
  storeHead(a, slots.values, D, false, 1, own.begin, own.size(), g.dv + t.kvHead * a.headSize, a.vStride);
}

template <typename T>
void attentionBiasGradient(const AttentionGradient<T>& g, int64_t head) {
  const Attention<T>& a = g.forward;
  for (int64_t row = 0; row <= 2 * a.reach; row++) g.dBias[row * a.heads + head] = 0;
  for (int64_t i = 0; i < g.segmentCount; i++) {
    const Segment& s = a.segments[i];
    const float* slopes = g.biasGradients + g.biasSlots[i] + head * biasGradientWidth(s.own(), s.keys);
    for (int64_t at = 0; at < s.own() + s.keys - 1 && s.own() > 0; at++) g.dBias[biasRow(a, s, at) * a.heads + head] += slopes[at];
  }
}

}  // namespace
}  // namespace graft
