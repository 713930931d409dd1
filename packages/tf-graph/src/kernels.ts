// Graft's own CPU kernels: ops whose names start with "Graft" (native/kernel-ops).
import { nativeBackend, sessions } from './tensorflow.ts';

/** The set in which stock operations compute one by one. */
const stock = 'stock';
/** The set in which XLA compiles stock operations: see graph/clusters.ts. */
const xla = 'xla';

let sets: readonly string[] | undefined;
/** Null: `stock`. Undefined: not chosen yet. */
let current: string | null | undefined;

/**
 * Returns the kernel sets that this process can use, best first: instruction sets that both the kernels and the CPU support, then `stock`,
 * TensorFlow's own operations, which compute the same. Results of different sets agree up to rounding, not bit for bit. With a GPU there
 * are no own kernels, because their inputs would have to be copied to the CPU; there `xla` compiles TensorFlow's operations to fewer and
 * larger kernels. On a CPU `xla` is slower than the kernels, so it must be selected explicitly.
 */
export function kernelSets(): readonly string[] {
  sets ??= [...(usesGpu() ? [xla] : load()), stock];
  return sets;
}

/** Returns whether TensorFlow has found a GPU in this process, on which it then runs all operations that support it. */
export const usesGpu = (): boolean => nativeBackend.isUsingGpuDevice;

/** Returns the set in use; null: stock operations one by one. */
export function kernelSet(): string | null {
  if (current === undefined) useKernels();
  return current ?? null;
}

/**
 * Selects the set for this process: one of `kernelSets`, or `auto` for the best; the default is GRAFT_KERNELS, or the best. Must not be
 * called while a program runs. Throws if the set does not exist.
 */
export function useKernels(wanted = process.env.GRAFT_KERNELS || 'auto'): void {
  if (wanted === stock) {
    current = null;
    return;
  }
  const set = wanted === 'auto' ? kernelSets()[0]! : wanted;
  if (set !== xla && !kernelSets().includes(set))
    throw new Error(`there are no kernels called ${set} here, only ${kernelSets().join(', ')}`);
  if (set !== stock && set !== xla) sessions.useKernels(set);
  current = set === stock ? null : set;
}

/** Returns whether XLA compiles what is traced. */
export const compilesOperations = (): boolean => kernelSet() === xla;

export const usesGraftKernels = (): boolean => kernelSet() !== null && !compilesOperations();

/** Returns whether the set has bfloat16 matrix products: with other sets, widening to float32 first is faster, or the only correct way. */
export const multipliesBfloat16 = (): boolean => kernelSet()?.endsWith('bf16') ?? false;

function load(): string[] {
  try {
    return sessions.loadKernels().split(',');
  } catch (error) {
    process.emitWarning(
      `Graft's kernels could not be loaded, so TensorFlow's own operations compute, slower: ${(error as Error).message}`,
    );
    return [];
  }
}
