import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { ResolvedTraining } from '../config/index.ts';

/** Conditions besides a run's inputs that its results depend on: a resumed run needs the same ones to repeat the same bits. */
export interface Requirements {
  precision: 'fp32' | 'bf16';
  /** Number of threads in which TensorFlow computes: it splits sums into as many parts. */
  threads: number;
  device: 'cpu' | 'gpu';
  /** GPU model as named by nvidia-smi: on another model libraries choose other kernels. Absent: any model, or a CPU. */
  gpu?: string;
  /** Implementation of layers: an instruction set of Graft's kernels, `stock` operations, or operations compiled by `xla`. */
  kernels: string;
}

/** Checks whether the set is one of Graft's own kernels, as opposed to TensorFlow's operations, compiled or not. */
export const isGraftKernels = (set: string): boolean => set !== 'stock' && set !== 'xla';

/**
 * Resolves "auto" to bf16 if this process computes matrix products in bf16. That is decided when the process starts (see
 * `environmentFor`), since TensorFlow reads TF_SET_ONEDNN_FPMATH_MODE once, when it loads.
 */
export function effectivePrecision(
  precision: ResolvedTraining['precision'],
  env = process.env,
): 'fp32' | 'bf16' {
  if (precision !== 'auto') return precision;
  return env.TF_SET_ONEDNN_FPMATH_MODE === 'BF16' ? 'bf16' : 'fp32';
}

/** Number of threads in which TensorFlow computes in this process: read once, when it loads. */
export function threadCount(env = process.env): number {
  return Number(env.TF_NUM_INTRAOP_THREADS) || availableParallelism();
}

/** How this process computes a run of that precision. */
export const computedHere = (
  precision: ResolvedTraining['precision'],
): Pick<Requirements, 'precision' | 'threads'> => ({
  precision: effectivePrecision(precision),
  threads: threadCount(),
});

/**
 * Environment for a process that computes in `precision` and, if given, with `threads` threads; "auto" selects bf16 if the CPU has
 * instructions for it. Keeps allocator settings of `env`.
 */
export function environmentFor(
  precision: ResolvedTraining['precision'],
  threads?: number,
  env = process.env,
): Record<string, string> {
  const narrow = precision === 'bf16' || (precision === 'auto' && processorHasBfloat16());
  return {
    // Tracing a graph makes much short-lived garbage, for which V8 would reserve 40 MB that no step needs.
    NODE_OPTIONS: '--max-semi-space-size=2',
    // A step makes a few thousand allocations: too few for lock contention between threads, while each arena holds 5 MB unused.
    MALLOC_ARENA_MAX: env.MALLOC_ARENA_MAX ?? '2',
    // On a GPU, TF32 would round the factors of float32 products, which bf16 jobs also have, to 10 bits.
    NVIDIA_TF32_OVERRIDE: '0',
    ...(narrow ? { TF_SET_ONEDNN_FPMATH_MODE: 'BF16' } : {}),
    ...(threads ? { TF_NUM_INTRAOP_THREADS: `${threads}`, TF_NUM_INTEROP_THREADS: `${threads}` } : {}),
  };
}

/**
 * Environment for a process in which XLA compiles: XLA caches compiled code in `folder` and uses only deterministic operations. This
 * process runs the cached code, so only those who may run code as this process may have write access to the folder.
 */
export const compilerFlags = (folder: string): Record<'TF_XLA_FLAGS' | 'XLA_FLAGS', string> => ({
  TF_XLA_FLAGS: `--tf_xla_deterministic_cluster_names --tf_xla_persistent_cache_directory=${folder}`,
  XLA_FLAGS: '--xla_gpu_deterministic_ops=true',
});

/** Checks whether matrix products of bf16 run in hardware. */
export function processorHasBfloat16(): boolean {
  try {
    return /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}
