// The gated delta rule of one sequence and one key head at a time, in float32 and in chunks of 64 positions that start with the sequence. With
// D = rate · U, where U are the errors that the positions correct, and G the sums of `decay` within a chunk:
// U = V − e^G K S − B D with B[i, j] = e^(G[i] − G[j]) k[i]·k[j] for j < i;
// Y = e^G Q S + P D with P[i, j] = e^(G[i] − G[j]) q[i]·k[j] for j ≤ i;
// S ← e^(G[end]) S + (e^(G[end] − G) K)ᵀ D.
// The backward pass keeps nothing of the forward pass. It computes the states again: those before each span of chunks first, then those of
// a span's chunks before the gradients of that span, so that scratch memory grows by a state for each 1,024 positions.
#pragma once
#include "attention.h"

namespace graft {
namespace {

constexpr int64_t kChunk = 64, kSpan = 16;
/** Rows that are multiplied together: whole tiles. Of triangular matrices whole blocks of so many rows and columns are used. */
constexpr int64_t kRowBlock = 16;
constexpr float kLengthEpsilon = 1e-6f;

/** `Vectors` columns of C (M × N) = A (M × K) · B (K × N), or += with `add`, in tiles of four rows. */
template <int Vectors>
inline void timesColumns(Factor a, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t M, int64_t K, bool add) {
  constexpr int kRows = 4;
  int64_t m = 0;
  const auto from = [&](int64_t row) { return Factor{a.p + row * a.rowStep, a.rowStep, a.kStep}; };
  for (; m + kRows <= M; m += kRows) tile<kRows, Vectors>(from(m), b, ldb, c + m * ldc, ldc, K, add);
  for (; m < M; m++) tile<1, Vectors>(from(m), b, ldb, c + m * ldc, ldc, K, add);
}

/** All columns; N is a multiple of the vector length. */
inline void timesRows(Factor a, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t M, int64_t N, int64_t K, bool add) {
  int64_t n = 0;
  for (; n + kTileVectors * kLanes <= N; n += kTileVectors * kLanes)
    timesColumns<kTileVectors>(a, b + n, ldb, c + n, ldc, M, K, add);
  for (; n < N; n += kLanes) timesColumns<1>(a, b + n, ldb, c + n, ldc, M, K, add);
}

/** C += A · B for a lower triangular A (n × kChunk). */
inline void addLower(const float* a, const float* b, int64_t width, float* c, int64_t n) {
  for (int64_t from = 0; from < n; from += kRowBlock)
    timesRows({a + from * kChunk, kChunk, 1}, b, width, c + from * width, width, least(kRowBlock, n - from), width,
              least(n, from + kRowBlock), true);
}
/** C += Aᵀ · B for a lower triangular A (n × kChunk). */
inline void addLowerTransposed(const float* a, const float* b, int64_t width, float* c, int64_t n) {
  for (int64_t from = 0; from < n; from += kRowBlock)
    timesRows({a + from * kChunk + from, 1, kChunk}, b + from * width, width, c + from * width, width,
              least(kRowBlock, n - from), width, n - from, true);
}
/** The blocks of the lower triangle of C (n × kChunk) = A (n × K) · B (K × kChunk). */
inline void lowerProduct(const float* a, int64_t width, const float* b, float* c, int64_t n, int64_t K) {
  for (int64_t from = 0; from < n; from += kRowBlock)
    timesRows({a + from * width, width, 1}, b, kChunk, c + from * kChunk, kChunk, least(kRowBlock, n - from),
              from + kRowBlock, K, false);
}

inline float dot(const float* a, const float* b, int64_t width) {
  Vec sum = {};
  for (int64_t i = 0; i < width; i += kLanes) sum += load(a + i) * load(b + i);
  return sumOf(sum);
}
/** out = x · factor. */
inline void scaled(const float* x, float factor, int64_t width, float* out) {
  for (int64_t i = 0; i < width; i += kLanes) store(out + i, load(x + i) * factor);
}
/** Row i of out (n × width) = row i of x · factors[i]. */
inline void scaledRows(const float* x, const float* factors, int64_t n, int64_t width, float* out) {
  for (int64_t i = 0; i < n; i++) scaled(x + i * width, factors[i], width, out + i * width);
}

/** Scratch memory, or, without a base, the count of what is taken. */
struct Places {
  float* base;
  int64_t used = 0;
  float* take(int64_t count) {
    used += padded(count);
    return base ? base + used - padded(count) : nullptr;
  }
};

/** Sizes of heads, padded to whole vectors. */
struct DeltaSizes {
  int64_t K, V, group;
  int64_t keyWidth() const { return padded(K); }
  int64_t valueWidth() const { return padded(V); }
  int64_t state() const { return keyWidth() * valueWidth(); }
};

/** What both passes compute of a chunk, in scratch memory. */
struct DeltaChunk {
  /** Queries and keys divided by their lengths, the queries also by √K (n × K), and the keys transposed (K × kChunk). */
  float *q, *k, *turned;
  /** 1 / length of each query and key. */
  float *qInverse, *kInverse;
  /** k·k and q·k of the positions; e^(G[i] − G[j]); −B and P (n × kChunk). */
  float *links, *scores, *between, *negB, *p;
  /** G, e^G, e^(G[end] − G) and the rates. */
  float *sums, *entering, *leaving, *rates;
  /** U, D, and e^(G[end] − G) K. */
  float *errors, *changes, *written;
  int64_t n;

  DeltaChunk(Places& places, const DeltaSizes& s) {
    const auto matrix = [&](int64_t width) { return places.take(kChunk * width); };
    q = matrix(s.keyWidth()), k = matrix(s.keyWidth()), turned = matrix(s.keyWidth()), written = matrix(s.keyWidth());
    links = matrix(kChunk), scores = matrix(kChunk), between = matrix(kChunk), negB = matrix(kChunk), p = matrix(kChunk);
    errors = matrix(s.valueWidth()), changes = matrix(s.valueWidth());
    qInverse = places.take(kChunk), kInverse = places.take(kChunk), rates = places.take(kChunk);
    sums = places.take(kChunk), entering = places.take(kChunk), leaving = places.take(kChunk);
  }
};

/** Loads rows of a head, divided by their lengths, times `scale`. */
template <typename T>
void loadUnit(const T* x, int64_t stride, int64_t n, int64_t size, float scale, float* out, float* inverses) {
  const int64_t width = padded(size);
  for (int64_t i = 0; i < n; i++) {
    float* row = out + i * width;
    Vec sum = {};
    byVectors(size, [&](int64_t j, int64_t count) {
      const Vec part = load(x + i * stride + j, count);
      sum += part * part;
      store(row + j, part);
    });
    inverses[i] = 1.0f / __builtin_sqrtf(sumOf(sum) + kLengthEpsilon);
    scaled(row, inverses[i] * scale, width, row);
  }
}

inline float scaleOfQueries(const DeltaSizes& s) { return 1.0f / __builtin_sqrtf(static_cast<float>(s.K)); }

/** Loads the queries and keys of positions [at, at + n). */
template <typename T>
void loadChunk(const DeltaRule<T>& a, const DeltaSizes& s, int64_t keyHead, int64_t at, int64_t n, DeltaChunk& c) {
  const int64_t stride = a.keyHeads * s.K, offset = at * stride + keyHead * s.K;
  c.n = n;
  loadUnit(a.q + offset, stride, n, s.K, scaleOfQueries(s), c.q, c.qInverse);
  loadUnit(a.k + offset, stride, n, s.K, 1, c.k, c.kInverse);
  transpose(c.k, n, s.keyWidth(), c.turned, kChunk);
  lowerProduct(c.k, s.keyWidth(), c.turned, c.links, n, s.K);
  lowerProduct(c.q, s.keyWidth(), c.turned, c.scores, n, s.K);
}

/** The decays and rates of a value head, −B, P and the written keys. */
template <typename T>
void enterHead(const DeltaRule<T>& a, const DeltaSizes& s, int64_t head, int64_t at, DeltaChunk& c) {
  float sum = 0;
  for (int64_t i = 0; i < kChunk; i++) {
    if (i < c.n) sum += a.decay[(at + i) * a.valueHeads + head];
    c.sums[i] = sum;
    c.rates[i] = i < c.n ? a.rate[(at + i) * a.valueHeads + head] : 0;
  }
  for (int64_t i = 0; i < kChunk; i += kLanes) {
    store(c.entering + i, exponential(load(c.sums + i)));
    store(c.leaving + i, exponential(all(sum) - load(c.sums + i)));
  }
  for (int64_t i = 0; i < c.n; i++) {
    const int64_t end = (i / kRowBlock + 1) * kRowBlock;
    for (int64_t j = 0; j < end; j += kLanes) {
      const int64_t at = i * kChunk + j;
      // After position i the difference is positive, and the factor is left out.
      const Vec factor = only(exponential(smaller(all(c.sums[i]) - load(c.sums + j), Vec{})), 0, i + 1 - j);
      store(c.between + at, factor);
      store(c.p + at, only(load(c.scores + at) * factor, 0, i + 1 - j));
      store(c.negB + at, only(-load(c.links + at) * factor, 0, i - j));
    }
  }
  scaledRows(c.k, c.leaving, c.n, s.keyWidth(), c.written);
}

/** U and D of a chunk, after state S. */
template <typename T>
void solveErrors(const DeltaRule<T>& a, const DeltaSizes& s, int64_t head, int64_t at, const float* state, DeltaChunk& c) {
  const int64_t W = s.valueWidth(), stride = a.valueHeads * s.V;
  float *u = c.errors, *d = c.changes;
  timesRows({c.k, s.keyWidth(), 1}, state, W, u, W, c.n, W, s.K, false);
  for (int64_t i = 0; i < c.n; i++)
    byVectors(s.V, [&](int64_t j, int64_t count) {
      const Vec value = load(a.v + (at + i) * stride + head * s.V + j, count);
      store(u + i * W + j, value - c.entering[i] * load(u + i * W + j));
    });
  for (int64_t from = 0; from < c.n; from += kRowBlock) {
    const int64_t end = least(c.n, from + kRowBlock);
    if (from > 0) timesRows({c.negB + from * kChunk, kChunk, 1}, d, W, u + from * W, W, end - from, W, from, true);
    for (int64_t v = 0; v < W; v += kLanes)
      for (int64_t i = from; i < end; i++) {
        Vec sum = load(u + i * W + v);
        for (int64_t j = from; j < i; j++) sum += c.negB[i * kChunk + j] * load(d + j * W + v);
        store(u + i * W + v, sum);
        store(d + i * W + v, sum * c.rates[i]);
      }
  }
}

/** Replaces the state before the chunk by that after it. */
inline void advance(const DeltaSizes& s, const DeltaChunk& c, float* state) {
  const int64_t W = s.valueWidth();
  scaled(state, c.entering[kChunk - 1], s.K * W, state);
  timesRows({c.written, 1, s.keyWidth()}, c.changes, W, state, W, s.K, W, c.n, true);
}

inline DeltaSizes sizesOf(int64_t K, int64_t V, int64_t group) { return {K, V, group}; }
template <typename T>
DeltaSizes sizesOf(const DeltaRule<T>& a) { return {a.keySize, a.valueSize, a.group()}; }

/** Calls body(at, n) for the chunks from `from` to `to` of a task. */
template <typename Body>
inline void eachChunk(const DeltaTask& task, int64_t from, int64_t to, Body body) {
  for (int64_t at = task.begin + from * kChunk; at < least(task.end, task.begin + to * kChunk); at += kChunk)
    body(at, least(kChunk, task.end - at));
}
inline int64_t chunksOf(int64_t positions) { return (positions + kChunk - 1) / kChunk; }
inline int64_t spansOf(int64_t positions) { return (chunksOf(positions) + kSpan - 1) / kSpan; }

struct DeltaForward {
  DeltaChunk chunk;
  float *states, *y;
  DeltaForward(Places& places, const DeltaSizes& s)
      : chunk(places, s), states(places.take(s.group * s.state())), y(places.take(kChunk * s.valueWidth())) {}
};

template <typename T>
void deltaRule(const DeltaRule<T>& a, const DeltaTask& task, float* memory) {
  const DeltaSizes s = sizesOf(a);
  Places places{memory};
  DeltaForward m(places, s);
  DeltaChunk& c = m.chunk;
  const int64_t W = s.valueWidth(), head = task.keyHead * s.group, stored = (task.row * a.valueHeads + head) * s.K * s.V;
  std::memset(m.states, 0, s.group * s.state() * sizeof(float));
  const auto stateRow = [&](int64_t i) { return m.states + i / s.K * s.state() + i % s.K * W; };
  if (a.first)
    for (int64_t i = 0; i < s.group * s.K; i++) std::memcpy(stateRow(i), a.first + stored + i * s.V, s.V * sizeof(float));
  eachChunk(task, 0, chunksOf(task.end - task.begin), [&](int64_t at, int64_t n) {
    loadChunk(a, s, task.keyHead, at, n, c);
    for (int64_t h = 0; h < s.group; h++) {
      float* state = m.states + h * s.state();
      enterHead(a, s, head + h, at, c);
      solveErrors(a, s, head + h, at, state, c);
      timesRows({c.q, s.keyWidth(), 1}, state, W, m.y, W, n, W, s.K, false);
      scaledRows(m.y, c.entering, n, W, m.y);
      addLower(c.p, c.changes, W, m.y, n);
      for (int64_t i = 0; i < n; i++) {
        T* out = a.y + ((at + i) * a.valueHeads + head + h) * s.V;
        byVectors(s.V, [&](int64_t j, int64_t count) { store(out + j, load(m.y + i * W + j), count); });
      }
      advance(s, c, state);
    }
  });
  if (a.last)
    for (int64_t i = 0; i < s.group * s.K; i++) std::memcpy(a.last + stored + i * s.V, stateRow(i), s.V * sizeof(float));
}

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
