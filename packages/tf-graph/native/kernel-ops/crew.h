// Threads for the ops of serving. A step of one answer has hundreds of ops of some ten microseconds each: waking a thread of TensorFlow's
// pool for each of them takes longer than its work. The threads of this crew watch for the next op for a moment before they sleep.
#pragma once

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "../flush-denormals.h"
#include "op.h"

namespace graft {

class Crew {
 public:
  /** The process's crew. Never destroyed: its threads run until the process ends. */
  static Crew& shared() {
    static Crew* crew = new Crew();
    return *crew;
  }

  /**
   * Calls body(task, runner) for each of `count` tasks, in this thread and in up to `helpers` others; runner is below helpers + 1. A helper
   * that is not awake in time has no part in it.
   */
  template <typename Body>
  void run(int64_t count, int64_t helpers, const Body& body) {
    const std::unique_lock<std::mutex> alone(turn_, std::try_to_lock);
    // Another session is at work: its helpers have the other cores.
    if (count <= 1 || helpers <= 0 || !alone.owns_lock()) {
      for (int64_t task = 0; task < count; task++) body(task, 0);
      return;
    }
    hire(helpers);
    body_ = &body;
    call_ = [](const void* body, int64_t task, int64_t runner) { (*static_cast<const Body*>(body))(task, runner); };
    count_ = count;
    places_ = helpers;
    next_.store(0);
    open_.store(true);
    number_.fetch_add(1);
    if (asleep_.load() > 0) {
      { const std::lock_guard<std::mutex> lock(sleep_); }
      wake_.notify_all();
    }
    work(0);
    // A helper that enters from now on finds the doors closed; those inside are finishing their last task.
    open_.store(false);
    for (int i = 0; inside_.load() > 0; i++) i < 4096 ? pause() : std::this_thread::yield();
  }

 private:
  /** For about as long as the executor needs from one op to the next, and a step's JavaScript does not. */
  static constexpr auto kWatch = std::chrono::microseconds(60);

  static void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  void hire(int64_t helpers) {
    for (; hired_ < helpers; hired_++) std::thread([this, own = hired_] { serve(own); }).detach();
  }

  void work(int64_t runner) {
    for (int64_t task = next_.fetch_add(1); task < count_; task = next_.fetch_add(1)) call_(body_, task, runner);
  }

  void serve(int64_t own) {
    const FlushDenormals flush;
    for (uint64_t seen = 0;;) {
      seen = following(seen);
      inside_.fetch_add(1);
      if (open_.load() && own < places_) work(own + 1);
      inside_.fetch_sub(1);
    }
  }

  /** Waits for another number than `seen`. */
  uint64_t following(uint64_t seen) {
    for (const auto until = std::chrono::steady_clock::now() + kWatch; std::chrono::steady_clock::now() < until;)
      for (int i = 0; i < 32; i++) {
        const uint64_t number = number_.load();
        if (number != seen) return number;
        pause();
      }
    std::unique_lock<std::mutex> lock(sleep_);
    asleep_.fetch_add(1);
    wake_.wait(lock, [&] { return number_.load() != seen; });
    asleep_.fetch_sub(1);
    return number_.load();
  }

  std::mutex turn_, sleep_;
  std::condition_variable wake_;
  int64_t hired_ = 0;
  // Of the current work: written while nobody is inside.
  const void* body_ = nullptr;
  void (*call_)(const void*, int64_t, int64_t) = nullptr;
  int64_t count_ = 0, places_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint64_t> number_{0};
  std::atomic<bool> open_{false};
  std::atomic<int64_t> asleep_{0};
  alignas(64) std::atomic<int64_t> inside_{0};
};

/** Number of threads, beside the calling one, that may compute an op. */
inline int64_t helpersOf(OpKernelContext* c) { return c->device()->tensorflow_cpu_worker_threads()->num_threads - 1; }

/** Like `eachTask`, with the crew. */
template <typename Body>
tensorflow::Status eachTaskOfCrew(OpKernelContext* c, int64_t count, int64_t scratch, const Body& body) {
  const int64_t helpers = std::min(helpersOf(c), count - 1);
  const int64_t stride = (scratch + 15) / 16 * 16;
  Tensor memory;
  TF_RETURN_IF_ERROR(temporary(c, (std::max<int64_t>(helpers, 0) + 1) * stride, &memory));
  float* floats = dataOf<float>(&memory);
  Crew::shared().run(count, helpers, [&](int64_t task, int64_t runner) { body(task, floats + runner * stride); });
  return tensorflow::OkStatus();
}

/** Like `share`, with the crew: in ranges that take some microseconds each. */
template <typename Arguments>
void shareWithCrew(OpKernelContext* c, int64_t count, int64_t cost, Kernel<Arguments> kernel, const Arguments& arguments) {
  constexpr int64_t cycles = 20'000;
  const int64_t size = std::max<int64_t>(1, cycles / std::max<int64_t>(cost, 1));
  const int64_t ranges = (count + size - 1) / size;
  Crew::shared().run(ranges, helpersOf(c), [&](int64_t i, int64_t) { kernel(arguments, i * size, std::min(count, (i + 1) * size)); });
}

}  // namespace graft
