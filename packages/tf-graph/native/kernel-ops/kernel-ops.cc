// Makes the kernels TensorFlow's. A library of its own, loaded by TF_LoadLibrary: where it is missing or fails to load, stock ops
// compute the same. One unit of compilation, because TensorFlow's headers take longer than all that is here.
#include <atomic>
#include <cstring>
#include <string>

#include "activation-ops.h"
#include "attention-ops.h"
#include "columns-ops.h"
#include "dropout-ops.h"
#include "loss-ops.h"
#include "low-rank-ops.h"
#include "norm-ops.h"
#include "serving-ops.h"
#include "unpack-ops.h"

namespace graft {

extern const Kernels kernels_baseline;
#ifdef __x86_64__
extern const Kernels kernels_avx2, kernels_avx512, kernels_avx512bf16;
#endif

namespace {

/** The best first. */
std::vector<const Kernels*> find() {
  std::vector<const Kernels*> sets;
#ifdef __x86_64__
  __builtin_cpu_init();
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (wide && __builtin_cpu_supports("avx512bf16")) sets.push_back(&kernels_avx512bf16);
  if (wide) sets.insert(sets.empty() || sets.front()->isFaster() ? sets.end() : sets.begin(), &kernels_avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.push_back(&kernels_avx2);
#endif
  sets.push_back(&kernels_baseline);
  return sets;
}

const std::vector<const Kernels*>& supported() {
  static const std::vector<const Kernels*> sets = find();
  return sets;
}

std::atomic<const Kernels*> current{nullptr};

}  // namespace

const Kernels& kernels() { return *current.load(std::memory_order_acquire); }

}  // namespace graft

extern "C" {

/** The names of the sets that this processor has, the best first, with commas. */
__attribute__((visibility("default"))) const char* graft_kernel_sets() {
  static const std::string names = [] {
    std::string all;
    for (const graft::Kernels* set : graft::supported()) all += (all.empty() ? "" : ",") + std::string(set->name);
    return all;
  }();
  return names.c_str();
}

/** From now on that set computes, where the processor has it. Not while a graph runs. */
__attribute__((visibility("default"))) bool graft_use_kernels(const char* name) {
  for (const graft::Kernels* set : graft::supported()) {
    if (std::strcmp(set->name, name) != 0) continue;
    graft::current.store(set, std::memory_order_release);
    return true;
  }
  return false;
}
}
