// Gives back to the system what this process holds and no step needs.
#include <malloc.h>
#include <sys/mman.h>

#include <fstream>
#include <sstream>

#include "values.h"

namespace {

struct Mapping {
  uintptr_t begin = 0, end = 0;
  bool isLibrary = false;
};

/** Of /proc/self/smaps: "7f00-7f10 r-xp 00000000 08:01 123 /path/lib.so". Only a library's pages that nobody may write. */
bool parseMapping(const std::string& line, Mapping* mapping) {
  std::istringstream words(line);
  std::string range, permissions, offset, device, inode, path;
  words >> range >> permissions >> offset >> device >> inode >> path;
  const size_t dash = range.find('-');
  if (dash == std::string::npos || permissions.size() != 4) return false;
  mapping->begin = std::stoull(range.substr(0, dash), nullptr, 16);
  mapping->end = std::stoull(range.substr(dash + 1), nullptr, 16);
  mapping->isLibrary = permissions[1] == '-' && path.find("libtensorflow") != std::string::npos;
  return true;
}

/**
 * Relocating TensorFlow's libraries at load touches some 250 MB of their files' pages, of which a step uses few; those come back
 * from the page cache when they are wanted. Pages with anonymous parts were relocated and are not in the file.
 */
void dropLibraryPages() {
  std::ifstream maps("/proc/self/smaps");
  Mapping mapping;
  for (std::string line; std::getline(maps, line);) {
    if (parseMapping(line, &mapping)) continue;
    if (!mapping.isLibrary || line.compare(0, 10, "Anonymous:") != 0) continue;
    if (std::stoull(line.substr(10)) != 0) continue;
    madvise(reinterpret_cast<void*>(mapping.begin), mapping.end - mapping.begin, MADV_DONTNEED);
  }
}

}  // namespace

/** releaseMemory(): undefined. Takes some milliseconds; what runs afterwards is as fast as before. */
void ReleaseMemory(napi_env, napi_callback_info, napi_value*) {
  dropLibraryPages();
  malloc_trim(0);
}
