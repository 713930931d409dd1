import { parsePeftConfig } from '@graft/peft-core/config';
import { type PlannedExample, trainingPlan } from '../../scripts/golden/training-plan.ts';
import type { GraftPlan, PeftPlan, Precision } from './sides.ts';
import type { Workload } from './workloads.ts';

const learningRate = 2e-4;

/** What both kinds of sides train, the same batches in the same order, and the useful tokens of each step. */
export interface Plans {
  graft: GraftPlan;
  peft: PeftPlan;
  tokens: number[];
}

/**
 * `steps` optimizer steps of a workload on a model, an HF folder, without what only one side has: no schedule, no weight decay.
 * Graft's adapter goes to `outputDir`. Throws where the data have fewer steps in 50 epochs.
 */
export async function plansFor(
  workload: Workload,
  options: {
    model: string;
    precision: Precision;
    steps: number;
    outputDir: string;
    device?: PeftPlan['device'];
  },
): Promise<Plans> {
  const { model, precision, steps, outputDir, device = 'cpu' } = options;
  const { trainingFile } = workload;
  const peft = parsePeftConfig(workload.peft);
  const { training, steps: planned } = await trainingPlan({
    ...{ model, trainingFile, peft },
    training: {
      batch_size: workload.batchSize,
      n_epochs: 50,
      max_steps: steps,
      learning_rate: learningRate,
      lr_scheduler_type: 'constant',
      warmup_steps: 0,
      weight_decay: 0,
      precision,
    },
  });
  if (planned.length < steps)
    throw new Error(`${workload.name} has ${planned.length} steps in 50 epochs: give fewer by --steps`);
  const batches = planned.map((micros) => micros.flat());
  const length = (example: PlannedExample) => ('ids' in example ? example.ids.length : 0);
  return {
    graft: { model, trainingFile, peft, training, outputDir },
    peft: {
      ...{ model, device, peft: workload.peft, learning_rate: learningRate },
      ...{ dtype: precision === 'fp32' ? 'float32' : 'bfloat16', steps: batches },
    },
    tokens: batches.map((batch) => batch.reduce((sum, example) => sum + length(example), 0)),
  };
}
