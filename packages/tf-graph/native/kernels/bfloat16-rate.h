// Whether bfloat16 products are faster on this CPU, for the instruction set that has them.
#pragma once

#include "vector.h"

#ifdef __AVX512BF16__
#include <cpuid.h>
#include <time.h>
#endif

namespace graft {
namespace {

#ifdef __AVX512BF16__

inline double secondsNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline double leastOf(double a, double b) { return a < b ? a : b; }

/** Seconds for one run of some thousand independent steps. */
template <typename Step>
double secondsOf(Step step) {
  constexpr int chains = 12;
  __m512 sums[chains];
  for (auto& sum : sums) sum = _mm512_set1_ps(1e-3f);
  const double began = secondsNow();
  for (int i = 0; i < 500; i++) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = step(sum);
    asm volatile("" : "+v"(sums[0]));
  }
  const double seconds = secondsNow() - began;
  for (auto& sum : sums) asm volatile("" : "+v"(sum));
  return seconds;
}

/** Whether there are matrix units (AMX), which oneDNN then uses. */
inline bool hasMatrixUnits() {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) != 0;
}

/**
 * A bfloat16 instruction computes twice as many products as a float32 one, but on some CPUs takes up to four times as long; those are
 * faster if bfloat16 is widened first. Takes half a millisecond. Known ratios are 1, 1.5 (AMD's family 26) and two to four; the limit is
 * far from all of them, so that each process of a machine finds the same. Other load and units that are waking up can only slow down a
 * run, so the minimum of many alternating runs counts.
 */
inline bool bfloat16IsFast() {
  if (hasMatrixUnits()) return true;
  const __m512 factor = _mm512_set1_ps(0.5f);
  const __m512bh pairs = bitsOf<__m512bh>(_mm512_set1_epi32(0x3f003f00));
  double narrow = 1, wide = 1;
  for (int run = 0; run < 64; run++) {
    narrow = leastOf(narrow, secondsOf([&](__m512 sum) { return _mm512_dpbf16_ps(sum, pairs, pairs); }));
    wide = leastOf(wide, secondsOf([&](__m512 sum) { return _mm512_fmadd_ps(sum, factor, factor); }));
  }
  return narrow < 1.75 * wide;
}

#else

inline bool bfloat16IsFast() { return true; }

#endif

}  // namespace
}  // namespace graft
