#pragma once
#include "random.h"

namespace graft {
namespace {

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
