// Graft's own kernels: ops whose names begin with "Graft" (native/kernel-ops), for a processor.
import { sessions } from './tensorflow.ts';

/**
 * The instruction set that the kernels use in this process; null where stock ops compute the same. Numbers of different sets
 * agree to rounding, not bit for bit. GRAFT_KERNELS decides: `auto` takes the best that the processor has, a set's name that
 * one, which must be there; without it, and by `stock`, there are none.
 */
export const kernelSet: string | null = load();

function load(): string | null {
  const wanted = process.env.GRAFT_KERNELS || 'stock';
  if (wanted === 'stock') return null;
  try {
    const name = sessions.loadKernels();
    if (wanted !== 'auto' && wanted !== name)
      throw new Error(`this processor has no kernels called ${wanted}, its best are ${name}`);
    return name;
  } catch (error) {
    if (wanted !== 'auto') throw error;
    process.emitWarning(
      `Graft's kernels could not be loaded, so TensorFlow's own operations compute, slower: ${(error as Error).message}`,
    );
    return null;
  }
}
