// Matrix products with weights in the form in which they are stored. A row by itself reads them in registers; for several rows, a few rows
// of W at a time are unpacked into the cache. A row of x has the same result as with the unpacked matrix, bit for bit.
#pragma once

#include "row-products.h"
#include "unpack.h"

namespace graft {
namespace {

/** Floats of scratch memory for a product with rows of W that are `in` wide. */
inline int64_t storedProductScratch(int64_t in) { return kDotColumns * in; }

/** Rows of W from row m on, each `in` wide. `scratch` holds `storedProductScratch` floats. */
struct Bfloat16Rows {
  const Bfloat16* w;
  int64_t in;
  Bfloat16Rows(const Bfloat16Matrix& w, int64_t in, int64_t m, int64_t, float*) : w(w.values + m * in), in(in) {}
  template <int>
  Vec at(int j, int64_t k, int64_t count) const {
    return load(w + j * in + k, count);
  }
};
struct Int8Rows {
  const int8_t* codes;
  const float* scales;
  int64_t in;
  Int8Rows(const UnpackInt8<float>& w, int64_t in, int64_t m, int64_t, float*)
      : codes(w.codes + m * in), scales(w.scales + m), in(in) {}
  template <int>
  Vec at(int j, int64_t k, int64_t count) const {
    Bytes bytes = {};
    std::memcpy(&bytes, codes + j * in + k, count == kLanes ? kLanes : count);
    return __builtin_convertvector(intsOf(bytes), Vec) * scales[j];
  }
};
struct Nf4Rows {
  const uint8_t* codes;
  /** Factors of the rows' blocks. */
  const float* factors;
  int64_t in;
  Nf4Rows(const UnpackNf4<float>& w, int64_t in, int64_t m, int64_t count, float* scratch)
      : codes(w.codes + m * in / 2), factors(scratch), in(in) {
    for (int64_t b = 0; b < count * in / kBlockOfNf4; b++) scratch[b] = factorOf(w, m * in / kBlockOfNf4 + b);
  }
  template <int>
  Vec at(int j, int64_t k, int64_t) const {
    return normalFloats(codes + (j * in + k) / 2) * factors[(j * in + k) / kBlockOfNf4];
  }
};
inline Bfloat16Rows rowsOf(const Bfloat16Matrix& w, int64_t in, int64_t m, int64_t count, float* s) { return {w, in, m, count, s}; }
inline Int8Rows rowsOf(const UnpackInt8<float>& w, int64_t in, int64_t m, int64_t count, float* s) { return {w, in, m, count, s}; }
inline Nf4Rows rowsOf(const UnpackNf4<float>& w, int64_t in, int64_t m, int64_t count, float* s) { return {w, in, m, count, s}; }

/** Unpacks rows [m, m + count) of W to `panel`. */
inline void unpackRows(const Bfloat16Matrix& w, int64_t in, int64_t m, int64_t count, float* panel) {
  const Bfloat16* from = w.values + m * in;
  byVectors(count * in, [&](int64_t i, int64_t lanes) { store(panel + i, load(from + i, lanes), lanes); });
}
inline void unpackRows(UnpackInt8<float> w, int64_t in, int64_t m, int64_t count, float* panel) {
  w.codes += m * in;
  w.scales += m;
  w.y = panel;
  unpackInt8(w, 0, count);
}
inline void unpackRows(UnpackNf4<float> w, int64_t in, int64_t m, int64_t count, float* panel) {
  // Blocks are numbered from the matrix's start, since groups of them share a factor.
  w.y = panel - m * in;
  unpackNf4(w, m * in / kBlockOfNf4, (m + count) * in / kBlockOfNf4);
}

template <typename Stored>
void storedProduct(const StoredProduct<Stored>& a, int64_t begin, int64_t end, float* panel) {
  for (int64_t m = begin; m < end; m += kDotColumns) {
    const int64_t count = least(kDotColumns, end - m);
    if (a.rows == 1 && count == kDotColumns) {
      dots<1, kDotColumns>(a.x, a.in, rowsOf(a.w, a.in, m, count, panel), a.in, a.y + m, a.out);
      continue;
    }
    unpackRows(a.w, a.in, m, count, panel);
    timesTransposed(a.x, a.in, a.rows, panel, a.in, count, a.in, a.y + m, a.out);
  }
}

}  // namespace
}  // namespace graft
