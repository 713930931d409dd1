// How TensorFlow's own threads compute: subnormal numbers count as zero. A thread that computes beside them must do the same, or a result
// would depend on the thread.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace graft {

/** Subnormal inputs and results are zero in this thread for the lifetime of this object. */
class FlushDenormals {
 public:
  FlushDenormals() : before_(get()) { set(before_ | kFlags); }
  ~FlushDenormals() { set(before_); }
  FlushDenormals(const FlushDenormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint64_t kFlags = 0x8040;
  static uint64_t get() { return _mm_getcsr(); }
  static void set(uint64_t flags) { _mm_setcsr(static_cast<uint32_t>(flags)); }
#elif defined(__aarch64__)
  static constexpr uint64_t kFlags = 1 << 24;
  static uint64_t get() {
    uint64_t flags;
    asm volatile("mrs %0, fpcr" : "=r"(flags));
    return flags;
  }
  static void set(uint64_t flags) { asm volatile("msr fpcr, %0" : : "r"(flags)); }
#else
  static constexpr uint64_t kFlags = 0;
  static uint64_t get() { return 0; }
  static void set(uint64_t) {}
#endif
  uint64_t before_;
};

}  // namespace graft
