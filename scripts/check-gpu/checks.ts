import type { Check } from './check.ts';
import { computes } from './checks/engine.ts';
import { goldenMatrix } from './checks/golden-matrix.ts';
import { killAndResume } from './checks/kill-and-resume.ts';
import { sharing } from './checks/sharing.ts';
import { stepTime } from './checks/step-time.ts';

// TensorFlow says at level 0 that XLA compiled something, once.
const compiled: Pick<Check, 'environment' | 'mustLog'> = {
  environment: { TF_CPP_MIN_LOG_LEVEL: '0' },
  mustLog: { text: 'Compiled cluster using XLA', otherwise: 'TensorFlow compiled nothing with XLA' },
};

/** Every check, in the order of the report. */
export const checks: Check[] = [
  // At level 1 TensorFlow says which of CUDA's libraries it does not find.
  { name: 'engine', precision: 'auto', environment: { TF_CPP_MIN_LOG_LEVEL: '1' }, run: computes },
  // A GPU has stock operations alone.
  { name: 'golden-matrix', precision: 'fp32', environment: { GRAFT_KERNELS: 'stock' }, run: goldenMatrix },
  { name: 'demo', precision: 'auto', run: stepTime('demo', 'stock') },
  { name: 'demo-xla', precision: 'auto', ...compiled, run: stepTime('demo', 'xla') },
  { name: 'demo-pytorch', precision: 'auto', run: stepTime('demo', 'peft') },
  { name: 'billion', precision: 'auto', run: stepTime('billion', 'stock') },
  { name: 'billion-xla', precision: 'auto', ...compiled, run: stepTime('billion', 'xla') },
  { name: 'billion-pytorch', precision: 'auto', run: stepTime('billion', 'peft') },
  { name: 'sharing', precision: 'auto', run: sharing },
  { name: 'kill-and-resume', precision: 'auto', run: killAndResume },
];
