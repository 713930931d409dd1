// Arguments of the products by experts. A pair is a token and one of its `chosen` experts: pair p is of token p / chosen.
#pragma once

#include <cstdint>

namespace graft {

/** Pairs sorted by expert: those of expert e are pairs[starts[e]] to pairs[starts[e + 1] − 1], in the order of tokens. */
struct ExpertPairs {
  int64_t chosen;
  const int32_t* pairs;
  const int64_t* starts;
};

/** Outputs [begin, end) for the pairs of an expert. */
struct ExpertTask {
  int64_t expert, begin, end;
};

/**
 * y (pairs, outputs) = x · W[e]ᵀ with rows [first, first + outputs) of W (E, rows, inputs); or, reversed, x · W[e] with rows
 * [first, first + inputs) of W (E, rows, outputs). x has a row for each pair, or, if shared, for each token.
 */
template <typename T>
struct ExpertProduct {
  ExpertPairs of;
  int64_t inputs, outputs, rows, first;
  bool reversed, shared;
  const T* x;
  const T* w;
  T* y;
};

/** dw (E, outputs, inputs): the sum over an expert's pairs of dy (pairs, outputs)ᵀ · x (pairs, or, if shared, tokens; inputs). */
template <typename T>
struct ExpertGradient {
  ExpertPairs of;
  int64_t inputs, outputs;
  bool shared;
  const T* dy;
  const T* x;
  float* dw;
};

/** Largest number of outputs of a task. */
constexpr int64_t kExpertOutputs = 48;
/** Number of an expert's pairs that are multiplied at a time. */
constexpr int64_t kExpertRows = 32;

}  // namespace graft
