// TensorFlow logs through Abseil, which before its initialization writes every message to stderr regardless of TF_CPP_MIN_LOG_LEVEL: two
// lines about oneDNN each time TensorFlow is loaded. They come from a static initializer of TensorFlow's library, so this code must run
// before it: see scripts/bootstrap/tensorflow/compile-addon.mjs.
#include <cstdlib>

#include "absl/base/log_severity.h"
#include "absl/log/globals.h"

namespace {
// TF_CPP_MIN_LOG_LEVEL: 0 info, 1 warning, 2 error, 3 fatal, the numbers of absl::LogSeverityAtLeast.
[[maybe_unused]] const bool quieted = [] {
  const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
  if (level != nullptr && level[0] >= '1' && level[0] <= '3' && level[1] == '\0') {
    absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(level[0] - '0'));
  }
  return true;
}();
}  // namespace
