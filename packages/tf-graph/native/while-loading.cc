// Relocating TensorFlow's libraries touches 140 MB of their pages, and initializing them 190 MB: a process that loads TensorFlow, and
// then trains a small model, had its peak there. So this gives them back between the two, and every few milliseconds until the
// addon, the last to be initialized, says that all are there. Their mappings do not change any more once they are relocated.
#include <pthread.h>
#include <time.h>

#include <atomic>

#include "library-pages.h"

namespace {

std::atomic<bool> isLoading{true};
pthread_t dropper;

void* dropUntilLoaded(void*) {
  const timespec pause = {0, 5'000'000};
  while (isLoading) {
    nanosleep(&pause, nullptr);
    dropLibraryPages();
  }
  return nullptr;
}

const bool isDropping = [] {
  dropLibraryPages();
  return pthread_create(&dropper, nullptr, dropUntilLoaded, nullptr) == 0;
}();

}  // namespace

/** Ends what runs beside loading, once. */
extern "C" void TensorFlowIsLoaded() {
  if (isDropping && isLoading.exchange(false)) pthread_join(dropper, nullptr);
}
