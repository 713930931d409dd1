// Graft's own kernels: ops whose names begin with "Graft" (native/kernel-ops), for a processor.
import { nativeBackend, sessions } from './tensorflow.ts';

/** Where stock operations compute, one by one. */
const stock = 'stock';
/** Where XLA makes programs of stock operations: see graph/clusters.ts. */
const xla = 'xla';

let sets: readonly string[] | undefined;
/** Null: `stock`. Undefined: not chosen yet. */
let current: string | null | undefined;

/**
 * What this process can compute with, best first: instruction sets that the kernels have and the processor too, then `stock`,
 * TensorFlow's own operations, which compute the same. Numbers of different sets agree to rounding, not bit for bit. Where
 * TensorFlow has a GPU there is no kernel, which would have its inputs copied to the processor: `xla` makes fewer and larger ones of
 * its operations there. On a processor `xla` is slower than kernels, so it computes only where it is asked for.
 */
export function kernelSets(): readonly string[] {
  sets ??= [...(usesGpu() ? [xla] : load()), stock];
  return sets;
}

/** Whether TensorFlow has found a GPU in this process; what it has operations for there, it computes there. */
export const usesGpu = (): boolean => nativeBackend.isUsingGpuDevice;

/** The set in use; null: stock operations one by one. */
export function kernelSet(): string | null {
  if (current === undefined) useKernels();
  return current ?? null;
}

/**
 * From now on this set is used in this process: one of `kernelSets`, or `auto` for the best; by default what GRAFT_KERNELS says, or
 * the best. Not while a program runs. Throws where there is no such set.
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

/** Whether XLA compiles what is traced. */
export const compilesOperations = (): boolean => kernelSet() === xla;

/** Whether Graft's own kernels are in use. */
export const usesGraftKernels = (): boolean => kernelSet() !== null && !compilesOperations();

/** Whether the set in use comes with matrix products of bfloat16 numbers: others are faster, or only right, when those are widened. */
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
