import { parsePeftConfig } from '@graft/peft-core/config';
import { blockNumbers } from '@graft/peft-core/estimate';
import { planTraining } from '@graft/peft-core/examples';
import { outlineOf } from '@graft/peft-core/outlines';
import { type PlannedExample, type TrainingPlan, trainingPlan } from '../../scripts/golden/training-plan.ts';
import type { PeftPlan, Plans, Precision } from './sides.ts';
import type { Workload } from './workloads.ts';

const learningRate = 2e-4;

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
  const { trainingFile, sharesBeginnings = true } = workload;
  const peft = parsePeftConfig(workload.peft);
  const planned = await trainingPlan({
    model,
    trainingFile,
    peft,
    training: {
      batch_size: workload.batchSize,
      n_epochs: 50,
      max_steps: steps,
      learning_rate: learningRate,
      lr_scheduler_type: 'constant',
      warmup_steps: 0,
      weight_decay: 0,
      precision,
      ...workload.training,
    },
  });
  const { training, data } = planned;
  if (planned.steps.length < steps)
    throw new Error(`${workload.name} has ${planned.steps.length} steps in 50 epochs: give fewer by --steps`);
  const batches = planned.steps.map((micros) => micros.flat());
  return {
    graft: { model, trainingFile, peft, training, outputDir, sharesBeginnings },
    peft: {
      model,
      device,
      peft: workload.peft,
      learning_rate: learningRate,
      labels: data.labels?.length ?? null,
      checkpointed: workload.training?.gradient_checkpointing === true,
      dtype: precision === 'fp32' ? 'float32' : 'bfloat16',
      steps: batches,
    },
    wall: { precision, ...productsOf(planned, sharesBeginnings) },
    tokens: batches.map((batch) => batch.reduce((sum, example) => sum + lengthOf(example), 0)),
  };
}

function lengthOf(example: PlannedExample): number {
  if ('input' in example) return example.input.length + example.labels.length;
  return 'ids' in example ? example.ids.length : 0;
}

/**
 * Floating-point operations of the products with frozen matrices in a step of the mean size, forward and backward, on positions that
 * have to be computed alone; the adapter's own and attention's are left out. `shape` is that of a large product among them.
 */
function productsOf({ config, steps, training, data }: TrainingPlan, sharesBeginnings: boolean) {
  const model = outlineOf(config);
  const { hiddenSize: hidden, vocabularySize, modules } = model;
  const batches = steps.flat(2);
  const mean = (count: (example: PlannedExample) => number) =>
    batches.reduce((sum, example) => sum + count(example), 0) / steps.length;
  const inputTokens = mean((example) => ('input' in example ? example.input.length : 0));
  const labels = mean((example) => {
    if ('input' in example) return example.labels.length;
    return 'labelled' in example ? example.labelled.reduce((sum, on) => sum + on, 0) : 0;
  });
  const isCausal = 'labelled' in batches[0]!;
  const arrangement = isCausal && sharesBeginnings ? 'shared' : 'flat';
  const { stats } = planTraining(data.training, training, { virtualTokens: 0, vocabularySize, arrangement });
  const tokens = (stats.positions - stats.savedPositions) / steps.length;
  const blocks = blockNumbers(model, { rows: 1, tokens, inputTokens });
  const forward = blocks.reduce((sum, { products }) => sum + products, 2 * labels * hidden * vocabularySize);
  const widths = modules.flatMap(({ kind, out }) =>
    kind === 'linear' && out !== vocabularySize ? [out!] : [],
  );
  const shape = { tokens: Math.round(tokens + inputTokens), hidden, wide: Math.max(...widths) };
  return { flops: 2 * forward, shape };
}
