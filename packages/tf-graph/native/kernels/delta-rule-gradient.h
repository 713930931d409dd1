// The backward pass of the gated delta rule.
#pragma once
#include "delta-rule.h"

namespace graft {
namespace {

struct DeltaBackward {
  DeltaChunk chunk;
  /** By value head: the state before each span, and the gradient of the state after the chunk. */
  float *spans, *dStates;
  /** Of the chunks of one span: the state before each, and U. */
  float *states, *errors;
  /** Gradients of the normed queries and keys of a span, and 1 / their lengths. */
  float *dq, *dk, *qInverses, *kInverses;
  float *dy, *dyEntering, *dd, *dv, *negEntering, *turnedChanges, *turnedState, *turnedGradient, *part;
  float *dp, *f, *dSums;
  DeltaBackward(Places& places, const DeltaSizes& s, int64_t positions) : chunk(places, s) {
    const int64_t K = s.keyWidth(), V = s.valueWidth(), chunks = least(kSpan, chunksOf(positions));
    spans = places.take(s.group * spansOf(positions) * s.state());
    dStates = places.take(s.group * s.state());
    states = places.take(chunks * s.state());
    errors = places.take(chunks * kChunk * V);
    dq = places.take(chunks * kChunk * K), dk = places.take(chunks * kChunk * K);
    qInverses = places.take(chunks * kChunk), kInverses = places.take(chunks * kChunk);
    dy = places.take(kChunk * V), dyEntering = places.take(kChunk * V), negEntering = places.take(kChunk * V);
    dd = places.take(kChunk * V), dv = places.take(kChunk * V), turnedChanges = places.take(kChunk * V);
    turnedState = places.take(s.state()), turnedGradient = places.take(s.state());
    part = places.take(kChunk * K);
    dp = places.take(kChunk * kChunk), f = places.take(kChunk * kChunk), dSums = places.take(kChunk);
  }
};

/** Floats of scratch memory of a task with `positions` positions, with or without its gradient. */
int64_t deltaScratch(int64_t positions, int64_t keySize, int64_t valueSize, int64_t group, bool gradient) {
  Places count{nullptr};
  const DeltaSizes s = sizesOf(keySize, valueSize, group);
  if (gradient) DeltaBackward(count, s, positions);
  else DeltaForward(count, s);
  return count.used;
}

/** dv of a chunk: rate · dR, where dR solves (1 + rate · B)ᵀ dR = dD; `dd` becomes dR. */
inline void solveBackward(const DeltaChunk& c, int64_t W, float* dd, float* dv) {
  for (int64_t from = (c.n - 1) / kRowBlock * kRowBlock; from >= 0; from -= kRowBlock) {
    const int64_t end = least(c.n, from + kRowBlock);
    if (end < c.n)
      timesRows({c.negB + end * kChunk + from, 1, kChunk}, dv + end * W, W, dd + from * W, W, end - from, W, c.n - end, true);
    for (int64_t v = 0; v < W; v += kLanes)
      for (int64_t i = end - 1; i >= from; i--) {
        Vec sum = load(dd + i * W + v);
        for (int64_t j = i + 1; j < end; j++) sum += c.negB[j * kChunk + i] * load(dv + j * W + v);
        store(dd + i * W + v, sum);
        store(dv + i * W + v, sum * c.rates[i]);
      }
  }
}

/** The gradients of one value head at the positions of a chunk, and that of the state before it in the place of that after it. */
template <typename T>
void chunkGradient(const DeltaRuleGradient<T>& a, const DeltaSizes& s, int64_t head, int64_t at, const float* state,
                   const float* errors, DeltaBackward& m, float* dq, float* dk, float* dState) {
  DeltaChunk& c = m.chunk;
  const int64_t n = c.n, KW = s.keyWidth(), W = s.valueWidth(), heads = a.forward.valueHeads;
  const float kept = c.entering[kChunk - 1];
  scaledRows(errors, c.rates, n, W, c.changes);
  transpose(c.changes, n, W, m.turnedChanges, kChunk);
  transpose(state, s.K, W, m.turnedState, KW);
  transpose(dState, s.K, W, m.turnedGradient, KW);
  for (int64_t i = 0; i < n; i++) {
    std::memset(m.dy + i * W, 0, W * sizeof(float));
    const T* from = a.dy + ((at + i) * heads + head) * s.V;
    byVectors(s.V, [&](int64_t j, int64_t count) { store(m.dy + i * W + j, load(from + j, count)); });
  }
  scaledRows(m.dy, c.entering, n, W, m.dyEntering);

  timesRows({c.written, KW, 1}, dState, W, m.dd, W, n, W, s.K, false);
  addLowerTransposed(c.p, m.dy, W, m.dd, n);
  solveBackward(c, W, m.dd, m.dv);
  for (int64_t i = 0; i < n; i++) {
    const float* dv = m.dv + i * W;
    scaled(dv, -c.entering[i], W, m.negEntering + i * W);
    a.dRate[(at + i) * heads + head] = dot(m.dd + i * W, errors + i * W, W);
    T* out = a.dv + ((at + i) * heads + head) * s.V;
    byVectors(s.V, [&](int64_t j, int64_t count) { store(out + j, load(dv + j), count); });
  }

  // Through the states before and after the chunk.
  std::memset(m.dSums, 0, kChunk * sizeof(float));
  float end = kept * dot(state, dState, s.K * W);
  const auto through = [&](const float* rows, const float* turned, const float* factors, const float* own, float* sum,
                           const auto& take) {
    timesRows({rows, W, 1}, turned, KW, m.part, KW, n, KW, s.V, false);
    for (int64_t i = 0; i < n; i++) {
      float* part = m.part + i * KW;
      if (factors) scaled(part, factors[i], KW, part);
      take(i, dot(own + i * KW, part, KW));
      addTo(sum + i * KW, part, KW);
    }
  };
  const auto grows = [&](int64_t i, float by) { m.dSums[i] += by; };
  through(m.dyEntering, m.turnedState, nullptr, c.q, dq, grows);
  through(m.negEntering, m.turnedState, nullptr, c.k, dk, grows);
  through(c.changes, m.turnedGradient, c.leaving, c.k, dk, [&](int64_t i, float by) { m.dSums[i] -= by, end += by; });
  m.dSums[n - 1] += end;

  // Within the chunk. The rows of f are those of the gradient of −B without the factors between positions.
  lowerProduct(m.dy, W, m.turnedChanges, m.dp, n, s.V);
  lowerProduct(m.dv, W, m.turnedChanges, m.f, n, s.V);
  for (int64_t i = 0; i < n; i++) {
    const int64_t to = (i / kRowBlock + 1) * kRowBlock;
    Vec sum = {};
    for (int64_t j = 0; j < to; j += kLanes) {
      const int64_t at = i * kChunk + j;
      const Vec factor = load(c.between + at), dp = load(m.dp + at), f = load(m.f + at);
      const Vec by = dp * load(c.p + at) + f * load(c.negB + at);
      sum += by;
      store(m.dSums + j, load(m.dSums + j) - by);
      store(m.dp + at, dp * factor);
      store(m.f + at, only(-f * factor, 0, i - j));
    }
    m.dSums[i] += sumOf(sum);
  }
  addLower(m.dp, c.k, KW, dq, n);
  addLowerTransposed(m.dp, c.q, KW, dk, n);
  addLower(m.f, c.k, KW, dk, n);
  addLowerTransposed(m.f, c.k, KW, dk, n);

  scaled(dState, kept, s.K * W, dState);
  timesRows({c.q, 1, KW}, m.dyEntering, W, dState, W, s.K, W, n, true);
  timesRows({c.k, 1, KW}, m.negEntering, W, dState, W, s.K, W, n, true);
  float after = 0;
  for (int64_t i = n - 1; i >= 0; i--) {
    after += m.dSums[i];
    a.dDecay[(at + i) * heads + head] = after;
  }
}

/** Stores the gradients of rows from those of the rows divided by their lengths and times `scale`. */
template <typename T>
void storeUnitGradient(const float* d, const T* x, int64_t stride, int64_t n, int64_t size, float scale, const float* inverses,
                       T* dx) {
  const int64_t width = padded(size);
  for (int64_t i = 0; i < n; i++) {
    const float* own = d + i * width;
    Vec along = {};
    byVectors(size, [&](int64_t j, int64_t count) { along += load(own + j, count) * load(x + i * stride + j, count); });
    const float factor = inverses[i] * scale, share = sumOf(along) * inverses[i] * inverses[i];
    byVectors(size, [&](int64_t j, int64_t count) {
      store(dx + i * stride + j, (load(own + j, count) - load(x + i * stride + j, count) * share) * factor, count);
    });
  }
}

template <typename T>
void deltaRuleGradient(const DeltaRuleGradient<T>& a, const DeltaTask& task, float* memory) {
  const DeltaRule<T>& forward = a.forward;
  const DeltaSizes s = sizesOf(forward);
  const int64_t positions = task.end - task.begin, spans = spansOf(positions), chunks = chunksOf(positions);
  Places places{memory};
  DeltaBackward m(places, s, positions);
  DeltaChunk& c = m.chunk;
  const int64_t KW = s.keyWidth(), W = s.valueWidth(), first = task.keyHead * s.group, size = s.state();
  const auto spanState = [&](int64_t h, int64_t span) { return m.spans + (h * spans + span) * size; };
  const auto computeState = [&](int64_t h, int64_t at, int64_t n, float* state) {
    loadChunk(forward, s, task.keyHead, at, n, c);
    enterHead(forward, s, first + h, at, c);
    solveErrors(forward, s, first + h, at, state, c);
    advance(s, c, state);
  };
  for (int64_t h = 0; h < s.group; h++) {
    std::memset(spanState(h, 0), 0, size * sizeof(float));
    for (int64_t span = 0; span + 1 < spans; span++) {
      float* next = spanState(h, span + 1);
      std::memcpy(next, spanState(h, span), size * sizeof(float));
      eachChunk(task, span * kSpan, (span + 1) * kSpan, [&](int64_t at, int64_t n) { computeState(h, at, n, next); });
    }
  }
  std::memset(m.dStates, 0, s.group * size * sizeof(float));
  for (int64_t span = spans - 1; span >= 0; span--) {
    const int64_t begin = task.begin + span * kSpan * kChunk, count = least(kSpan, chunks - span * kSpan);
    const int64_t own = least(task.end - begin, kSpan * kChunk);
    std::memset(m.dq, 0, own * KW * sizeof(float));
    std::memset(m.dk, 0, own * KW * sizeof(float));
    for (int64_t h = 0; h < s.group; h++) {
      float* state = spanState(h, span);
      for (int64_t i = 0; i < count; i++) {
        std::memcpy(m.states + i * size, state, size * sizeof(float));
        computeState(h, begin + i * kChunk, least(kChunk, task.end - begin - i * kChunk), state);
        std::memcpy(m.errors + i * kChunk * W, c.errors, c.n * W * sizeof(float));
      }
      for (int64_t i = count - 1; i >= 0; i--) {
        const int64_t at = begin + i * kChunk, offset = i * kChunk * KW;
        loadChunk(forward, s, task.keyHead, at, least(kChunk, task.end - at), c);
        enterHead(forward, s, first + h, at, c);
        std::memcpy(m.qInverses + i * kChunk, c.qInverse, c.n * sizeof(float));
        std::memcpy(m.kInverses + i * kChunk, c.kInverse, c.n * sizeof(float));
        chunkGradient(a, s, first + h, at, m.states + i * size, m.errors + i * kChunk * W, m, m.dq + offset, m.dk + offset,
                      m.dStates + h * size);
      }
    }
    const int64_t stride = forward.keyHeads * s.K, at = begin * stride + task.keyHead * s.K;
    storeUnitGradient(m.dq, forward.q + at, stride, own, s.K, scaleOfQueries(s), m.qInverses, a.dq + at);
    storeUnitGradient(m.dk, forward.k + at, stride, own, s.K, 1, m.kInverses, a.dk + at);
  }
}

}  // namespace
}  // namespace graft
