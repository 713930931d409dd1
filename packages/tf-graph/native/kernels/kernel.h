#pragma once

#include <cstdint>

namespace graft {

/** Computes a part of the work: rows, elements or tasks [begin, end). */
template <typename Arguments>
using Kernel = void (*)(const Arguments&, int64_t begin, int64_t end);

}  // namespace graft
