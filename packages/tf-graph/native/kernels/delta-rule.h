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
/** Rows that are multiplied together: whole tiles. Of triangular matrices whole blocks of this number of rows and columns are used. */
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

/** Scratch memory, or, without a base, the count of what would be used. */
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

}  // namespace
}  // namespace graft
