import { kernelSet } from '@graft/tf-graph';
import type { Implementation } from '../../nn/computation.ts';

/** What layers are made of in this process: kernels where it has them. GRAFT_KERNELS=stock takes them away. */
export const implementationHere = (): Implementation => (kernelSet === null ? 'stock' : 'kernels');
