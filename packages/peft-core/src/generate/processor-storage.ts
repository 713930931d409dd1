import { usesGraftKernels } from '@graft/tf-graph';
import type { BaseModel } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { storedName } from '../outlines/outline.ts';
import { isExactInBfloat16 } from '../tensors/tensor-source.ts';
import { type BaseStorage, baseStorage, storedWeights } from '../weights/base-storage.ts';
import type { ServingLimits } from './step.ts';

/**
 * Storage type of the base on a CPU: `limits.baseDtype`; with "auto" bfloat16 where the model's files hold bfloat16, which changes no
 * value and halves what a step reads, else float32.
 */
export function processorStorage(
  base: BaseModel,
  architecture: Architecture,
  { baseDtype = 'auto' }: ServingLimits,
): BaseStorage {
  if (baseDtype !== 'auto') return baseStorage(baseDtype, 'fp32');
  return readsBfloat16(architecture) && holdsBfloat16(base, architecture) ? 'bfloat16' : 'float32';
}

/** Whether kernels multiply by every matrix as it is stored. Others would be converted as a whole in every step. */
function readsBfloat16({ modules, parameters }: Architecture): boolean {
  const matrices = parameters.every(({ experts }) => !experts);
  return usesGraftKernels() && matrices && modules.every(({ transposed }) => !transposed);
}

function holdsBfloat16({ tensors }: BaseModel, architecture: Architecture): boolean {
  const stored = storedWeights(architecture, 'bfloat16', true);
  return stored
    .filter(({ storage }) => storage === 'bfloat16')
    .every(({ name }) => {
      const source = storedName(architecture, name, tensors);
      return source === undefined || isExactInBfloat16(tensors.info(source).dtype);
    });
}
