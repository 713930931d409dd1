// Matrix products in which each row has the matrix of its expert. Each row is computed in a fixed order, independent of the other rows.
#pragma once
#include "row-products.h"
#include "unpack.h"

namespace graft {
namespace {

/** Copies `count` numbers as float32. */
template <typename T>
inline void widen(const T* from, int64_t count, float* to) {
  byVectors(count, [&](int64_t i, int64_t n) { store(to + i, load(from + i, n), n); });
}
template <typename T>
inline void narrow(const float* from, int64_t count, T* to) {
  byVectors(count, [&](int64_t i, int64_t n) { store(to + i, load(from + i, n), n); });
}

/** Calls body(pairs, rows) for an expert's pairs, `kExpertRows` at a time. */
template <typename Body>
inline void byRows(const ExpertPairs& of, int64_t expert, const Body& body) {
  for (int64_t at = of.starts[expert]; at < of.starts[expert + 1]; at += kExpertRows)
    body(of.pairs + at, least(kExpertRows, of.starts[expert + 1] - at));
}

/** A part of W in float32, and its stride: W itself, or a copy in `scratch`. */
struct WidenedPart {
  const float* w;
  int64_t stride;
};
inline WidenedPart widenedPart(const float* w, int64_t stride, int64_t, int64_t, float*) { return {w, stride}; }
inline WidenedPart widenedPart(const Bfloat16* w, int64_t stride, int64_t rows, int64_t columns, float* scratch) {
  for (int64_t row = 0; row < rows; row++) widen(w + row * stride, columns, scratch + row * columns);
  return {scratch, columns};
}

/** Rounds to the precision of T. */
template <typename T>
inline void roundTo(float* x, int64_t count) {
  if (sizeof(T) == sizeof(float)) return;
  T rounded[kLanes];
  byVectors(count, [&](int64_t i, int64_t n) {
    store(rounded, load(x + i, n), n);
    store(x + i, load(rounded, n), n);
  });
}

/** Unpacks rows [row, row + rows) of a stored W, whose rows are `width` wide: columns [column, column + columns), from a whole block on. */
template <typename T>
WidenedPart unpackedPart(const ExpertProduct<T>& a, int64_t width, int64_t row, int64_t rows, int64_t column, int64_t columns,
                         float* scratch) {
  for (int64_t r = 0; r < rows; r++) {
    const int64_t first = (row + r) * width + column;
    float* to = scratch + r * columns;
    if (a.nf4) {
      for (int64_t i = 0; i < columns; i += kBlockOfNf4) {
        const float factor = factorOf(*a.nf4, (first + i) / kBlockOfNf4);
        const uint8_t* codes = a.nf4->codes + (first + i) / 2;
        byVectors(kBlockOfNf4, [&](int64_t k, int64_t n) { store(to + i + k, normalFloats(codes + k / 2) * factor, n); });
      }
    } else {
      const Vec scale = all(a.int8->scales[row + r]);
      byVectors(columns, [&](int64_t i, int64_t n) {
        Bytes bytes = {};
        std::memcpy(&bytes, a.int8->codes + first + i, n);
        store(to + i, __builtin_convertvector(intsOf(bytes), Vec) * scale, n);
      });
    }
    roundTo<T>(to, columns);
  }
  return {scratch, columns};
}

/** What a task reads of W. */
template <typename T>
WidenedPart partOf(const ExpertProduct<T>& a, const ExpertTask& task, float* copy) {
  const int64_t count = task.end - task.begin, width = a.reversed ? a.outputs : a.inputs;
  const int64_t row = task.expert * a.rows + a.first;
  if (!a.w)
    return a.reversed ? unpackedPart(a, width, row, a.inputs, task.begin, count, copy)
                      : unpackedPart(a, width, row + task.begin, count, 0, width, copy);
  const T* matrix = a.w + row * width;
  return a.reversed ? widenedPart(matrix + task.begin, width, a.inputs, count, copy)
                    : widenedPart(matrix + task.begin * width, width, count, width, copy);
}

template <typename T>
void expertProduct(const ExpertProduct<T>& a, const ExpertTask& task, float* scratch) {
  const int64_t count = task.end - task.begin;
  float *x = scratch, *y = x + kExpertRows * a.inputs, *copy = y + kExpertRows * kStoredOutputs;
  const WidenedPart part = partOf(a, task, copy);
  byRows(a.of, task.expert, [&](const int32_t* pairs, int64_t rows) {
    for (int64_t i = 0; i < rows; i++)
      widen(a.x + (a.shared ? pairs[i] / a.of.chosen : pairs[i]) * a.inputs, a.inputs, x + i * a.inputs);
    if (a.reversed) {
      std::memset(y, 0, rows * kStoredOutputs * sizeof(float));
      addTimes(x, a.inputs, rows, part.w, part.stride, count, a.inputs, y, kStoredOutputs);
    } else {
      timesTransposed(x, a.inputs, rows, part.w, part.stride, count, a.inputs, y, kStoredOutputs);
    }
    for (int64_t i = 0; i < rows; i++) narrow(y + i * kStoredOutputs, count, a.y + pairs[i] * a.outputs + task.begin);
  });
}

template <typename T>
void expertGradient(const ExpertGradient<T>& a, const ExpertTask& task, float* scratch) {
  const int64_t count = task.end - task.begin;
  float *x = scratch, *dy = x + kExpertRows * a.inputs;
  float* dw = a.dw + (task.expert * a.outputs + task.begin) * a.inputs;
  std::memset(dw, 0, count * a.inputs * sizeof(float));
  byRows(a.of, task.expert, [&](const int32_t* pairs, int64_t rows) {
    float own[kExpertOutputs];
    for (int64_t i = 0; i < rows; i++) {
      widen(a.x + (a.shared ? pairs[i] / a.of.chosen : pairs[i]) * a.inputs, a.inputs, x + i * a.inputs);
      widen(a.dy + pairs[i] * a.outputs + task.begin, count, own);
      for (int64_t o = 0; o < count; o++) dy[o * kExpertRows + i] = own[o];
    }
    addTimes(dy, kExpertRows, count, x, a.inputs, a.inputs, rows, dw, a.inputs);
  });
}

}  // namespace
}  // namespace graft
