// Rounds numbers that are passed to a session: src/bfloat16.ts does the same in JavaScript, four times slower.
#pragma GCC optimize("O3")
#include "values.h"

// Compiled also for AVX2; the variant is selected when the addon is loaded.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_SET __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_SET
#endif

/** Rounds to the nearest, ties to even; a NaN keeps its upper half and becomes quiet, so that it cannot turn into an infinity. */
FOR_EACH_SET static void roundToBfloat16(const uint32_t* bits, uint16_t* out, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const uint32_t x = bits[i];
    const uint32_t nearest = (x + 0x7fff + (x >> 16 & 1)) >> 16;
    out[i] = static_cast<uint16_t>((x & 0x7fffffff) > 0x7f800000 ? (x >> 16) | 0x40 : nearest);
  }
}

/** roundToBfloat16(values: Float32Array, out: Uint16Array): undefined. */
void RoundToBfloat16(napi_env env, napi_callback_info info, napi_value*) {
  const auto arguments = ArgumentsOf<2>(env, info);
  const Bytes values = BytesOf(env, arguments[0]), out = BytesOf(env, arguments[1]);
  if (values.size != 2 * out.size) throw Failure{"rounded numbers need as many places as there are numbers"};
  roundToBfloat16(static_cast<const uint32_t*>(values.data), static_cast<uint16_t*>(out.data), out.size / 2);
}
