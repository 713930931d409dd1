// Pages of TensorFlow's libraries that this process has touched and can do without.
#pragma once
#ifdef __linux__
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

/**
 * Calls drop(begin, end) for each mapping of TensorFlow's libraries in `maps`, a file like /proc/self/smaps, that can be read from its file
 * again: nobody may write to it, and no page of it is anonymous or swapped out. Such pages were relocated and are not in the file. C's
 * library alone, because it runs before C++'s is initialized, too.
 */
template <typename Drop>
void eachLibraryMapping(std::FILE* maps, const Drop& drop) {
  unsigned long begin = 0, end = 0;
  bool isLibrary = false, isAnonymous = true, isSwapped = true;
  const auto finish = [&] {
    if (isLibrary && !isAnonymous && !isSwapped) drop(begin, end);
  };
  char* line = nullptr;
  size_t capacity = 0;
  while (getline(&line, &capacity, maps) > 0) {
    unsigned long from, to, kilobytes;
    char permissions[5];
    // "7f00-7f10 r-xp 00000000 08:01 123 /path/lib.so", then lines of what is in it.
    if (std::sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3) {
      finish();
      begin = from;
      end = to;
      isLibrary = permissions[1] == '-' && std::strstr(line, "/libtensorflow") != nullptr;
      // Until the lines say otherwise: a kernel without them is one that cannot be asked.
      isAnonymous = isSwapped = true;
    } else if (std::sscanf(line, "Anonymous: %lu", &kilobytes) == 1) {
      isAnonymous = kilobytes > 0;
    } else if (std::sscanf(line, "Swap: %lu", &kilobytes) == 1) {
      isSwapped = kilobytes > 0;
    }
  }
  finish();
  std::free(line);
}

/**
 * Frees the pages of TensorFlow's libraries that nobody may write. Relocating and initializing them touches some 250 MB, of which a step
 * uses few; those come back from the page cache when they are wanted.
 */
inline void dropLibraryPages() {
  std::FILE* maps = std::fopen("/proc/self/smaps", "re");
  if (maps == nullptr) return;
  eachLibraryMapping(maps, [](unsigned long begin, unsigned long end) {
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  });
  std::fclose(maps);
}

}  // namespace
#else
namespace {
inline void dropLibraryPages() {}
}  // namespace
#endif
