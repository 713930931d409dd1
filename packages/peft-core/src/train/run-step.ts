import type { ResolvedTraining } from '../config/index.ts';
import {
  type BatchPlan,
  type FilledBatch,
  fillBatch,
  type SequenceLayout,
  type TrainingExample,
} from '../examples/index.ts';
import { feedsOf } from './objectives/objective.ts';
import { optimizerScalars } from './optimizer/optimizer.ts';
import { learningRateAt } from './optimizer/schedule.ts';
import type { TrainProgram } from './train-program.ts';

/** One optimizer step: every micro-batch of it, then the update. */
export function runStep(
  { program, objective }: TrainProgram,
  plan: BatchPlan,
  examples: TrainingExample[],
  layout: SequenceLayout,
  training: ResolvedTraining,
  step: number,
) {
  const accumulation = training.gradient_accumulation_steps;
  const batches: FilledBatch[] = [];
  for (let i = 0; i < accumulation; i++) batches.push(fillBatch(plan, examples, step, i, layout));
  const labels = batches.reduce((sum, b) => sum + b.labelCount, 0);
  const learningRate = learningRateAt(training, step, plan.steps);
  const scalars = optimizerScalars(training, learningRate, step + 1);
  let loss = 0;
  let correct = 0;
  let gradNorm = 0;
  for (const [i, batch] of batches.entries()) {
    if (batch.labelCount === 0) continue;
    const seed = Int32Array.of(training.seed, step * accumulation + i);
    const feeds = { ...feedsOf(objective, batch, labels), seed };
    const out =
      accumulation === 1 ? program.run('step', { ...feeds, ...scalars }) : program.run('accumulate', feeds);
    loss += out.loss!.data[0]!;
    correct += out.correct!.data[0]!;
    if (out.norm) gradNorm = out.norm.data[0]!;
  }
  if (accumulation > 1) gradNorm = program.run('apply', scalars).norm!.data[0]!;
  const tokens = batches.reduce((sum, b) => sum + b.tokenCount, 0);
  // A cosine is near or far, not right or wrong.
  const accuracy = objective === 'cosine' ? null : correct / labels;
  return { loss, accuracy, gradNorm, learningRate, tokens };
}
