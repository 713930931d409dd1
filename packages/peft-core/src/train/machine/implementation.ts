import { kernelSet } from '@graft/tf-graph';
import type { Implementation } from '../../nn/computation.ts';

/** What layers are made of in this process at present: kernels where it uses them. */
export const implementationHere = (): Implementation => (kernelSet() === null ? 'stock' : 'kernels');
