// Backward pass of attention over segments; the forward pass is in attention.h.
#pragma once
#include "attention.h"

namespace graft {
namespace {

/** Where the gradients of a range of keys and of its values are accumulated. */
struct KeySlot {
  KeyRange range;
  float *keys, *values;
};
/** The slots of a task's key ranges, in their order. */
struct KeySlots {
  KeySlot of[3];
};
template <typename T>
KeySlots keySlotsOf(const AttentionGradient<T>& g, const Task& t) {
  const auto& [own, outer, inner, opensOuter, opensInner] = g.slots[t.index];
  const KeyRanges ranges = keyRangesOf(t);
  const auto slot = [&](const KeyRange& range, int64_t start) {
    const int64_t size = range.count * t.headWidth;
    float* keys = g.keyGradients + start + t.kvHead * 2 * size;
    return KeySlot{range, keys, keys + size};
  };
  return {{slot(ranges.of[0], outer), slot(ranges.of[1], inner), slot(ranges.of[2], own)}};
}

/** Adds scoresᵀ (keys [from, to), rows) · factor (rows, D) to the gradients of those keys, which `of` returns for a slot. */
template <typename T, typename Of>
void addKeyGradients(const float* scores, int64_t width, const float* factor, int64_t D, int64_t rows, int64_t from, int64_t to,
                     const KeySlots& slots, Of of) {
  for (const KeySlot& slot : slots.of) {
    const int64_t start = slot.range.first;
    const int64_t first = most(from, start), last = least(to, start + slot.range.count);
    if (last > first)
      productOf<T>({scores + (first - from), 1, width}, factor, D, of(slot) + (first - start) * D, D, last - first, D, rows, true);
  }
}

/** Computes gradients of the queries, and adds gradients of keys and values to the segment's slots. */
template <typename T>
void attentionGradient(const AttentionGradient<T>& g, int64_t task, float* memory) {
  const Attention<T>& a = g.forward;
  const Task t = taskOf(a, task);
  if (t.segment.own() == 0 || t.keys == 0) return;
  Scratch scratch{memory};
  const int64_t D = t.headWidth, rows = kBlock * t.group, width = t.keyWidth;
  float* keys = scratch.take(t.keys * D);
  float* values = scratch.take(t.keys * D);
  float* turnedKeys = scratch.take(D * width);
  float* turnedValues = scratch.take(D * width);
  float* scores = scratch.take(rows * width);
  float* slopes = scratch.take(rows * width);
  float* queries = scratch.take(rows * D);
  float* dys = scratch.take(rows * D);
  float* dQueries = scratch.take(rows * D);
  float* mask = scratch.take(width);
  const int64_t biasWidth = biasGradientWidth(t.segment.own(), t.keys);
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
  const KeySlots slots = keySlotsOf(g, t);
  const bool opens[] = {g.slots[t.index].opensOuter, g.slots[t.index].opensInner, true};
  for (int i = 0; i < 3; i++)
    if (opens[i]) std::memset(slots.of[i].keys, 0, slots.of[i].range.count * 2 * D * sizeof(float));
  loadKeysAndValues(a, t, keys, values);
  transpose(keys, t.keys, D, turnedKeys, width);
  transpose(values, t.keys, D, turnedValues, width);

  for (int64_t first = 0; first < t.segment.own(); first += kBlock) {
    const Block b = blockOf(a, t, first);
    const int64_t position = t.segment.begin + first;
    loadQueries(a, t, b, queries);
    for (int64_t h = 0; h < t.group; h++)
      loadHead(a, g.dy + (t.kvHead * t.group + h) * a.headSize, a.heads * a.headSize, false, 1, position, b.count, D,
               dys + h * b.count * D);
    productOf<T>({queries, D, 1}, turnedKeys + b.from, width, scores, width, b.rows, b.width, D);
    productOf<T>({dys, D, 1}, turnedValues + b.from, width, slopes, width, b.rows, b.width, D);
    for (int64_t r = 0; r < b.rows; r++) {
      float* row = scores + r * width;
      float* slope = slopes + r * width;
      const int64_t query = first + r % b.count, n = t.segment.begin + query;
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
    addKeyGradients<T>(slopes, width, queries, D, b.rows, b.from, b.to, slots, [](const KeySlot& slot) { return slot.keys; });
    addKeyGradients<T>(scores, width, dys, D, b.rows, b.from, b.to, slots, [](const KeySlot& slot) { return slot.values; });
    for (int64_t h = 0; h < t.group; h++)
      storeHead(a, dQueries + h * b.count * D, D, true, a.scale, position, b.count,
                g.dq + (t.kvHead * t.group + h) * a.headSize, a.qStride);
  }
}

template <typename T>
void attentionKeyGradient(const AttentionGradient<T>& g, int64_t task) {
  const Attention<T>& a = g.forward;
  const Task t = taskOf(a, task);
  const Segment& own = t.segment;
  if (own.own() == 0 || t.keys == 0) return;
  const int64_t D = t.headWidth;
  const KeySlots slots = keySlotsOf(g, t);
  const KeySlot& to = slots.of[a.cross ? 0 : 2];
  // In the order of the segments, so that runs repeat bit for bit. A memory's positions are read by one segment.
  for (int64_t i = 0; i < g.segmentCount && !a.cross; i++) {
    const Segment& other = a.segments[i];
    const auto add = [&](bool opens, int64_t slot, int64_t begin, int64_t end) {
      if (!opens || begin < own.begin || end > own.end) return;
      const int64_t at = (begin - own.begin) * D, count = (end - begin) * D;
      const float* shared = g.keyGradients + slot + t.kvHead * 2 * count;
      addTo(to.keys + at, shared, count);
      addTo(to.values + at, shared + count, count);
    };
    add(g.slots[i].opensOuter, g.slots[i].outer, other.outerBegin, other.outerEnd);
    add(g.slots[i].opensInner, g.slots[i].inner, other.innerBegin, other.innerEnd);
  }
  storeHead(a, to.keys, D, true, 1, to.range.position, to.range.count, g.dk + t.kvHead * a.headSize, a.kStride);
  storeHead(a, to.values, D, false, 1, to.range.position, to.range.count, g.dv + t.kvHead * a.headSize, a.vStride);
}

template <typename T>
void attentionBiasGradient(const AttentionGradient<T>& g, int64_t head) {
  const Attention<T>& a = g.forward;
  for (int64_t row = 0; row <= 2 * a.reach; row++) g.dBias[row * a.heads + head] = 0;
  for (int64_t i = 0; i < g.segmentCount; i++) {
    const Segment& s = a.segments[i];
    const int64_t keys = a.keysOf(s);
    const float* slopes = g.biasGradients + g.biasSlots[i] + head * biasGradientWidth(s.own(), keys);
    for (int64_t at = 0; at < s.own() + keys - 1 && s.own() > 0; at++) g.dBias[biasRow(a, s, at) * a.heads + head] += slopes[at];
  }
}

}  // namespace
}  // namespace graft
