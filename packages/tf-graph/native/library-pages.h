// Drops pages of TensorFlow's libraries that this process has touched and no longer needs.
#pragma once
#ifdef __linux__
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

/**
 * Calls drop(begin, end) for each mapping of TensorFlow's libraries in `maps`, a file like /proc/self/smaps, that can be read again from
 * its file: it is not writable, and none of its pages is anonymous or swapped out. Such pages were relocated, and the file does not contain
 * their contents. Uses only the C library, because it also runs before the C++ library is initialized.
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
    // "7f00-7f10 r-xp 00000000 08:01 123 /path/lib.so", followed by lines with its statistics.
    if (std::sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3) {
      finish();
      begin = from;
      end = to;
      isLibrary = permissions[1] == '-' && std::strstr(line, "/libtensorflow") != nullptr;
      // Assume so unless the lines report 0: a kernel that does not report them cannot be trusted here.
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
 * Frees read-only pages of TensorFlow's libraries. Relocating and initializing the libraries touches about 250 MB, of which a step uses
 * little; needed pages are loaded again from the page cache.
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
