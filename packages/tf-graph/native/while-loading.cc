// Relocating TensorFlow's libraries touches 140 MB of their pages, and initializing them 190 MB: this determined the peak memory of a
// process that loads TensorFlow and then trains a small model. This code drops the pages between the two, and then every few milliseconds
// until the addon, which is initialized last, reports that everything is loaded. The mappings do not change after relocation.
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

/** Stops the thread that runs during loading, once. */
extern "C" void TensorFlowIsLoaded() {
  if (isDropping && isLoading.exchange(false)) pthread_join(dropper, nullptr);
}
