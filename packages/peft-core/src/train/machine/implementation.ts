import { usesGraftKernels } from '@graft/tf-graph';
import type { Implementation } from '../../nn/computation.ts';

/** The implementation of layers in this process: Graft's kernels where it uses them, else stock operations. */
export const implementationHere = (): Implementation => (usesGraftKernels() ? 'kernels' : 'stock');
