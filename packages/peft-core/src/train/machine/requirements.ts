import { kernelSets, useKernels, usesGpu } from '@graft/tf-graph';
import type { ResolvedTraining } from '../../config/index.ts';
import { GraftError } from '../../errors.ts';
import { computedHere, type Requirements } from '../precision.ts';

/**
 * Configures this process to compute as a run requires. Throws `requirements_not_met` if it cannot, because it was started for another
 * job or on another machine. Without requirements the process computes as it was started.
 */
export function meetRequirements(
  wanted: Requirements | undefined,
  trained: ResolvedTraining['precision'],
): void {
  if (!wanted) {
    useKernels();
    return;
  }
  const { precision, threads } = computedHere(trained);
  if (wanted.threads !== threads || wanted.precision !== precision) {
    throw notMet(
      `the job is computed in ${wanted.precision} by ${wanted.threads} threads, and this worker's trainer in ${precision} by ${threads}`,
    );
  }
  const device = usesGpu() ? 'gpu' : 'cpu';
  if (wanted.device !== device)
    throw notMet(`the job is computed on a ${wanted.device}, and this worker's trainer has only a ${device}`);
  const { kernels } = wanted;
  if (kernels !== 'stock' && !kernelSets().includes(kernels))
    throw notMet(
      `the job is computed by ${kernels} kernels, and this worker's trainer has ${kernelSets().join(', ')}`,
    );
  useKernels(kernels);
}

function notMet(message: string): GraftError {
  return new GraftError('requirements_not_met', message, { fault: 'environment' });
}
