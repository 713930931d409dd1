import { usesGraftKernels } from '@graft/tf-graph';
import type { Implementation } from '../../nn/computation.ts';

/** What layers are made of in this process at present: kernels where it uses them. */
export const implementationHere = (): Implementation => (usesGraftKernels() ? 'kernels' : 'stock');
