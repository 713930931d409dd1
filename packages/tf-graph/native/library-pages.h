// Pages of TensorFlow's libraries that this process has touched and can do without.
#pragma once
#ifdef __linux__
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

/**
 * Gives back the pages of TensorFlow's libraries that nobody may write. Relocating and initializing them touches some 250 MB, of which
 * a step uses few; those come back from the page cache when they are wanted. Pages with anonymous parts were relocated and are not in
 * the file. C's library alone, because it runs before C++'s is initialized, too.
 */
inline void dropLibraryPages() {
  std::FILE* maps = std::fopen("/proc/self/smaps", "re");
  if (maps == nullptr) return;
  uintptr_t begin = 0, end = 0;
  bool isLibrary = false;
  char* line = nullptr;
  size_t capacity = 0;
  while (getline(&line, &capacity, maps) > 0) {
    unsigned long from, to, anonymous;
    char permissions[5];
    // "7f00-7f10 r-xp 00000000 08:01 123 /path/lib.so", then lines of what is in it.
    if (std::sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3) {
      begin = from;
      end = to;
      isLibrary = permissions[1] == '-' && std::strstr(line, "/libtensorflow") != nullptr;
    } else if (isLibrary && std::sscanf(line, "Anonymous: %lu", &anonymous) == 1 && anonymous == 0) {
      madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
  }
  std::free(line);
  std::fclose(maps);
}

}  // namespace
#else
namespace {
inline void dropLibraryPages() {}
}  // namespace
#endif
