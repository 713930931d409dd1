// Graft's own kernels: ops whose names begin with "Graft" (native/kernel-ops), for a processor.
import { nativeBackend, sessions } from './tensorflow.ts';

/** Where stock operations compute. */
const stock = 'stock';

let sets: readonly string[] | undefined;
/** Null: `stock`. Undefined: not chosen yet. */
let current: string | null | undefined;

/**
 * What this process can compute with, best first: instruction sets that the kernels have and the processor too, then `stock`,
 * TensorFlow's own operations, which compute the same. Numbers of different sets agree to rounding, not bit for bit. Where
 * TensorFlow has a GPU there is `stock` alone: each kernel would have its inputs copied to the processor.
 */
export function kernelSets(): readonly string[] {
  sets ??= [...(usesGpu() ? [] : load()), stock];
  return sets;
}

/** Whether TensorFlow has found a GPU in this process; what it has operations for there, it computes there. */
export const usesGpu = (): boolean => nativeBackend.isUsingGpuDevice;

/** The set in use; null: stock operations. */
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
  if (!kernelSets().includes(set))
    throw new Error(`there are no kernels called ${set} here, only ${kernelSets().join(', ')}`);
  if (set !== stock) sessions.useKernels(set);
  current = set === stock ? null : set;
}

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
