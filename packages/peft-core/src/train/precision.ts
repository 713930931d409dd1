import { readFileSync } from 'node:fs';
import type { ResolvedTraining } from '../config/index.ts';

/**
 * "auto" is bf16 when this process computes matrix products in bf16. Whoever starts the process decides (see `environmentFor`),
 * since TensorFlow reads TF_SET_ONEDNN_FPMATH_MODE once, when it loads.
 */
export function effectivePrecision(
  precision: ResolvedTraining['precision'],
  env = process.env,
): 'fp32' | 'bf16' {
  if (precision !== 'auto') return precision;
  return env.TF_SET_ONEDNN_FPMATH_MODE === 'BF16' ? 'bf16' : 'fp32';
}

/** Environment for a process that is to compute in `precision`; "auto" takes bf16 where the processor has instructions for it. */
export function environmentFor(precision: ResolvedTraining['precision']): Record<string, string> {
  const narrow = precision === 'bf16' || (precision === 'auto' && processorHasBfloat16());
  return {
    // Tracing a graph makes much short-lived garbage. V8 would keep 40 MB for it that no step needs.
    NODE_OPTIONS: '--max-semi-space-size=2',
    ...(narrow ? { TF_SET_ONEDNN_FPMATH_MODE: 'BF16' } : {}),
  };
}

function processorHasBfloat16(): boolean {
  try {
    return /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}
