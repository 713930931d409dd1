// Finds the compiled instruction sets that this CPU supports, and selects the one in use. Independent of TensorFlow.
#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "kernels.h"

namespace graft {

extern const Kernels kernels_baseline;
#ifdef __x86_64__
// A set is missing if the compiler is older than its instructions.
extern const Kernels kernels_avx2 __attribute__((weak));
extern const Kernels kernels_avx512 __attribute__((weak));
extern const Kernels kernels_avx512vnni __attribute__((weak));
extern const Kernels kernels_avx512bf16 __attribute__((weak));
extern const Kernels kernels_amxbf16 __attribute__((weak));
#endif

namespace {

#ifdef __x86_64__
/** Whether the CPU has matrix units for bfloat16 and bytes, and the system grants them to this process: it keeps 8 KB for each thread. */
bool hasMatrixUnits() {
  unsigned a, b, c, d;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d >> 22 & 1) == 0 || (d >> 24 & 3) != 3) return false;
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}
#endif

/** Returns the supported sets, best first. */
std::vector<const Kernels*> find() {
  std::vector<const Kernels*> sets;
#ifdef __x86_64__
  const auto add = [&](const Kernels* set) {
    if (set != nullptr) sets.push_back(set);
  };
  __builtin_cpu_init();
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool integers = wide && __builtin_cpu_supports("avx512vnni");
  if (integers && __builtin_cpu_supports("avx512bf16")) {
    if (hasMatrixUnits()) add(&kernels_amxbf16);
    add(&kernels_avx512bf16);
  }
  const size_t withBfloat16 = sets.size();
  if (integers) add(&kernels_avx512vnni);
  if (wide) add(&kernels_avx512);
  if (withBfloat16 > 0 && !sets.front()->isFaster()) std::rotate(sets.begin(), sets.begin() + withBfloat16, sets.end());
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) add(&kernels_avx2);
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

/** Comma-separated names of the sets that this CPU supports, best first. */
__attribute__((visibility("default"))) const char* graft_kernel_sets() {
  static const std::string names = [] {
    std::string all;
    for (const graft::Kernels* set : graft::supported()) all += (all.empty() ? "" : ",") + std::string(set->name);
    return all;
  }();
  return names.c_str();
}

/** Selects a set, if the CPU supports it. Not while a graph runs. */
__attribute__((visibility("default"))) bool graft_use_kernels(const char* name) {
  for (const graft::Kernels* set : graft::supported()) {
    if (std::strcmp(set->name, name) != 0) continue;
    graft::current.store(set, std::memory_order_release);
    return true;
  }
  return false;
}
}
