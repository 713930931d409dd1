// Makes the kernels TensorFlow's. A library of its own, loaded by TF_LoadLibrary: where it is missing or fails to load, stock ops
// compute the same. One unit of compilation, because TensorFlow's headers take longer than all that is here.
#include <cstdlib>
#include <cstring>

#include "attention-ops.h"
#include "gated-activation-ops.h"
#include "loss-ops.h"
#include "low-rank-ops.h"
#include "norm-ops.h"

namespace graft {

extern const Kernels kernels_baseline;
#ifdef __x86_64__
extern const Kernels kernels_avx2, kernels_avx512, kernels_avx512bf16;
#endif

namespace {

/** The best first. */
std::vector<const Kernels*> supported() {
  std::vector<const Kernels*> sets;
#ifdef __x86_64__
  __builtin_cpu_init();
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (wide && __builtin_cpu_supports("avx512bf16")) sets.push_back(&kernels_avx512bf16);
  if (wide) sets.push_back(&kernels_avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.push_back(&kernels_avx2);
#endif
  sets.push_back(&kernels_baseline);
  return sets;
}

const Kernels& chosen() {
  const std::vector<const Kernels*> sets = supported();
  // For tests, and for a job that began on an older processor.
  const char* wanted = std::getenv("GRAFT_KERNELS");
  for (const Kernels* set : sets)
    if (wanted != nullptr && std::strcmp(set->name, wanted) == 0) return *set;
  return *sets.front();
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& set = chosen();
  return set;
}

}  // namespace graft

/** Which instruction set the kernels use in this process. */
extern "C" __attribute__((visibility("default"))) const char* graft_kernels_name() { return graft::kernels().name; }
