import type { Check } from './check.ts';
import { computes } from './checks/engine.ts';
import { goldenMatrix } from './checks/golden-matrix.ts';
import { killAndResume } from './checks/kill-and-resume.ts';
import { outOfMemory } from './checks/out-of-memory.ts';
import { placement } from './checks/placement.ts';
import { serving } from './checks/serving.ts';
import { sharing } from './checks/sharing.ts';
import { stepTime } from './checks/step-time.ts';

// TensorFlow says at level 0 that XLA compiled something, once.
const compiled: Pick<Check, 'environment' | 'mustLog'> = {
  environment: { TF_CPP_MIN_LOG_LEVEL: '0' },
  mustLog: { text: 'Compiled cluster using XLA', otherwise: 'TensorFlow compiled nothing with XLA' },
};

/** Step times by the size of the model and how its weights are kept, each beside what people train it with otherwise. */
const sizes = [
  { task: 'demo', reference: 'pytorch' },
  { task: 'billion', reference: 'pytorch' },
  { task: 'billion-nf4', reference: 'bitsandbytes' },
  { task: 'seven', reference: 'pytorch' },
  { task: 'seven-nf4', reference: 'bitsandbytes' },
] as const;
const sideOf = { pytorch: 'peft', bitsandbytes: 'qlora' } as const;

/** Every check, in the order of the report. */
export const checks: Check[] = [
  // At level 1 TensorFlow says which of CUDA's libraries it does not find.
  { name: 'engine', precision: 'auto', environment: { TF_CPP_MIN_LOG_LEVEL: '1' }, run: computes },
  { name: 'placement', precision: 'bf16', environment: { GRAFT_KERNELS: 'stock' }, run: placement },
  // The same as a GPU has.
  { name: 'golden-matrix', precision: 'fp32', environment: { GRAFT_KERNELS: 'stock' }, run: goldenMatrix },
  ...sizes.flatMap(({ task, reference }): Check[] => [
    { name: task, precision: 'auto', run: stepTime(task, 'stock') },
    { name: `${task}-xla`, precision: 'auto', ...compiled, run: stepTime(task, 'xla') },
    { name: `${task}-${reference}`, precision: 'auto', run: stepTime(task, sideOf[reference]) },
  ]),
  { name: 'serving', precision: 'auto', run: serving },
  { name: 'sharing', precision: 'auto', run: sharing },
  { name: 'kill-and-resume', precision: 'auto', run: killAndResume },
  { name: 'out-of-memory', precision: 'auto', run: outOfMemory },
];
