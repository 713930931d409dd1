// Matrix products in which each row has the matrix of its expert. Each row is computed in a fixed order, independent of the other rows.
#pragma once
#include "expert-pairs.h"
#include "expert-rows.h"
#include "../row-products.h"

namespace graft {
namespace {

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

/** The same of rows [row, row + rows), in the precision of T. */
template <typename T>
WidenedPart unpackedPart(const ExpertProduct<T>& a, int64_t width, int64_t row, int64_t rows, int64_t column, int64_t columns,
                         float* scratch) {
  for (int64_t r = 0; r < rows; r++) {
    unpackRow(a, width, row + r, column, columns, scratch + r * columns);
    roundTo<T>(scratch + r * columns, columns);
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
ExpertSizes expertSizes(const ExpertProduct<T>& a) {
#ifdef __AVX512BF16__
  if constexpr (sizeof(T) == sizeof(Bfloat16)) return pairSizes(a);
#endif
  const int64_t outputs = a.reversed && !a.w ? kStoredOutputs : kExpertOutputs;
  const int64_t copy = a.w && sizeof(T) == sizeof(float) ? 0 : outputs * a.inputs;
  return {outputs, kExpertRows * (a.inputs + kStoredOutputs) + copy};
}

template <typename T>
void expertProduct(const ExpertProduct<T>& a, const ExpertTask& task, float* scratch) {
#ifdef __AVX512BF16__
  if constexpr (sizeof(T) == sizeof(Bfloat16)) return pairProduct(a, task, scratch);
#endif
  const int64_t count = task.end - task.begin;
  float *x = scratch, *y = x + kExpertRows * a.inputs, *copy = y + kExpertRows * kStoredOutputs;
  const WidenedPart part = partOf(a, task, copy);
  byRows(a.of, task.expert, kExpertRows, [&](const int32_t* pairs, int64_t rows) {
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
  byRows(a.of, task.expert, kExpertRows, [&](const int32_t* pairs, int64_t rows) {
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
