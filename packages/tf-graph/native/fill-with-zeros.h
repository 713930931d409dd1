// Zeros that take no memory until they are written.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

/** Below this many bytes a call of the system costs more than it saves. */
constexpr size_t kLeastToDrop = 1 << 20;

/** Sets private memory to zeros. On Linux its whole pages are dropped, and the system supplies them as zeros when they are touched. */
inline void fillWithZeros(void* data, size_t size) {
  char* begin = static_cast<char*>(data);
  char* end = begin + size;
#ifdef __linux__
  if (size >= kLeastToDrop) {
    const uintptr_t page = sysconf(_SC_PAGESIZE);
    char* from = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page);
    char* to = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(end) / page * page);
    if (madvise(from, to - from, MADV_DONTNEED) == 0) {
      std::memset(begin, 0, from - begin);
      std::memset(to, 0, end - to);
      return;
    }
  }
#endif
  std::memset(begin, 0, size);
}
