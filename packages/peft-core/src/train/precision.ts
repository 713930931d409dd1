import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { ResolvedTraining } from '../config/index.ts';

/** What a run's numbers depend on besides its inputs: a run that is resumed needs the same again to repeat the same bits. */
export interface Requirements {
  precision: 'fp32' | 'bf16';
  /** That TensorFlow computes in: sums are cut into as many parts. */
  threads: number;
  device: 'cpu' | 'gpu';
  /** The model of GPU, as nvidia-smi names it: libraries choose other kernels on another. Absent: any, or a processor. */
  gpu?: string;
  /** What layers are made of: an instruction set of Graft's kernels, `stock` operations, or those compiled by `xla`. */
  kernels: string;
}

/** Whether layers of this set are Graft's own kernels, not TensorFlow's operations, compiled or as they are. */
export const isGraftKernels = (set: string): boolean => set !== 'stock' && set !== 'xla';

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

/** Threads that TensorFlow computes in, in this process: read once, when it loads. */
export function threadCount(env = process.env): number {
  return Number(env.TF_NUM_INTRAOP_THREADS) || availableParallelism();
}

/**
 * Environment for a process that is to compute in `precision` and, where given, in so many threads; "auto" takes bf16 where
 * the processor has instructions for it. What `env` has of the allocator stays.
 */
export function environmentFor(
  precision: ResolvedTraining['precision'],
  threads?: number,
  env = process.env,
): Record<string, string> {
  const narrow = precision === 'bf16' || (precision === 'auto' && processorHasBfloat16());
  return {
    // Tracing a graph makes much short-lived garbage. V8 would keep 40 MB for it that no step needs.
    NODE_OPTIONS: '--max-semi-space-size=2',
    // A step allocates a few thousand times: too seldom for threads to wait for each other, and each arena keeps 5 MB that it does not use.
    MALLOC_ARENA_MAX: env.MALLOC_ARENA_MAX ?? '2',
    // On a GPU products of float32, of which bf16 jobs have some too, would round their factors to 10 bits.
    NVIDIA_TF32_OVERRIDE: '0',
    ...(narrow ? { TF_SET_ONEDNN_FPMATH_MODE: 'BF16' } : {}),
    ...(threads ? { TF_NUM_INTRAOP_THREADS: `${threads}`, TF_NUM_INTEROP_THREADS: `${threads}` } : {}),
  };
}

/**
 * Environment of a process in which XLA compiles: it keeps what it has compiled in `folder`, which only those may write who may run what
 * this process runs, and takes ways of computing that repeat the same bits.
 */
export const compilerFlags = (folder: string): Record<'TF_XLA_FLAGS' | 'XLA_FLAGS', string> => ({
  TF_XLA_FLAGS: `--tf_xla_deterministic_cluster_names --tf_xla_persistent_cache_directory=${folder}`,
  XLA_FLAGS: '--xla_gpu_deterministic_ops=true',
});

function processorHasBfloat16(): boolean {
  try {
    return /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}
