// What the products of experts' matrices share: an expert's rows, and the rows of its matrix.
#pragma once
#include "../unpack.h"

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

/** Calls body(pairs, rows) for an expert's pairs, `each` at a time. */
template <typename Body>
inline void byRows(const ExpertPairs& of, int64_t expert, int64_t each, const Body& body) {
  for (int64_t at = of.starts[expert]; at < of.starts[expert + 1]; at += each)
    body(of.pairs + at, least(each, of.starts[expert + 1] - at));
}

/** Unpacks row `row` of a stored W, whose rows are `width` wide: columns [column, column + columns), from a whole block on. */
template <typename T>
inline void unpackRow(const ExpertProduct<T>& a, int64_t width, int64_t row, int64_t column, int64_t columns, float* to) {
  const int64_t first = row * width + column;
  if (a.nf4) {
    for (int64_t i = 0; i < columns; i += kBlockOfNf4) {
      const float factor = factorOf(*a.nf4, (first + i) / kBlockOfNf4);
      const uint8_t* codes = a.nf4->codes + (first + i) / 2;
      byVectors(kBlockOfNf4, [&](int64_t k, int64_t n) { store(to + i + k, normalFloats(codes + k / 2) * factor, n); });
    }
    return;
  }
  const Vec scale = all(a.int8->scales[row]);
  byVectors(columns, [&](int64_t i, int64_t n) {
    Bytes bytes = {};
    std::memcpy(&bytes, a.int8->codes + first + i, n);
    store(to + i, __builtin_convertvector(intsOf(bytes), Vec) * scale, n);
  });
}

}  // namespace
}  // namespace graft
