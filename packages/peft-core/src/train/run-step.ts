import { releaseMemory, scalarOf } from '@graft/tf-graph';
import type { ResolvedTraining } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { type FilledBatch, fillBatch, miniBatchCount, TextNumbers, targetsOf } from '../examples/index.ts';
import { measuresAccuracy, metricsOf } from '../objectives/metrics.ts';
import { residentMemory } from './machine/peak-memory.ts';
import { noiseFeeds } from './objectives/embedding-noise.ts';
import { feedsOf } from './objectives/losses.ts';
import type { TrainingRun } from './open-run.ts';
import type { RecordOf } from './records.ts';
import { BatchTotals } from './train-program.ts';

/** Runs one optimizer step: all its micro-batches, then the update. Throws `training_diverged` when a loss is not a number. */
export function runStep(run: TrainingRun): RecordOf<'step'> {
  const { plan, clock } = run;
  const began = performance.now();
  const { loss, tokenAccuracy, gradNorm, learningRate, tokens, metrics } = takeStep(run);
  const epoch = plan.epochAt(run.step);
  run.step++;
  run.trainedTokens += tokens;
  run.finalLoss = loss;
  clock.add(tokens, (performance.now() - began) / 1000);
  if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
    throw new GraftError(
      'training_diverged',
      `the loss of step ${run.step} is not a number; try a smaller learning rate`,
      { param: 'training.learning_rate' },
    );
  }
  // The first step touches memory of TensorFlow that later steps do not.
  if (run.step === (run.resumedFrom ?? 0) + 1) releaseMemory();
  const measured = {
    epoch,
    loss,
    tokenAccuracy,
    learningRate,
    gradNorm,
    tokens: run.trainedTokens,
    tokensPerSecond: clock.tokensPerSecond(),
    memoryBytes: residentMemory(),
  };
  run.log.addStep(measured);
  return {
    type: 'step',
    step: run.step,
    totalSteps: plan.steps,
    ...measured,
    ...(Object.keys(metrics).length > 0 ? { metrics } : {}),
    secondsRemaining: clock.secondsPerStep() * (plan.steps - run.step),
  };
}

function takeStep({ built, plan, setup, options: { training }, step }: TrainingRun) {
  const { program, objective, update, varies } = built;
  const accumulation = training.gradient_accumulation_steps;
  const minis = miniBatchCount(training);
  // Jobs of versions without mini_batch_size treated equal texts as different.
  const texts = new TextNumbers(training.mini_batch_size === undefined);
  const passes = accumulation * minis;
  const batches = Array.from({ length: passes }, (_, i) =>
    fillBatch(plan, setup.data.training, step, i, setup.layout, texts),
  );
  const { classWeights } = setup;
  const targets = batches.map((batch) => targetsOf(batch, classWeights));
  const labels = targets.reduce((sum, { count }) => sum + count, 0);
  const weight = targets.reduce((sum, each) => sum + each.weight, 0);
  const learningRate = learningRateAt(training, step, plan.steps);
  const scalars = optimizerScalars(training, learningRate, step + 1);
  const { neftune_noise_alpha: alpha = 0 } = training;
  const { hiddenSize: width, vocabularySize } = setup.architecture;
  const noiseOf = (batch: FilledBatch, length: number) =>
    alpha > 0 ? noiseFeeds(batch, { rows: plan.shape.rows, length }, { alpha, width, vocabularySize }) : {};
  const feedsFor = (batch: FilledBatch) => {
    const given = feedsOf(objective, batch, weight, varies, classWeights);
    return { ...given, ...noiseOf(batch, given.ids.length) };
  };
  let gradNorm = 0;
  const totals = new BatchTotals();
  const seedOf = (i: number) => Int32Array.of(training.seed, step * passes + i);
  if ('cached' in update) {
    for (let i = 0; i < accumulation; i++) {
      let first = 0;
      const parts = batches.slice(i * minis, (i + 1) * minis).flatMap((filled, m) => {
        if (filled.labelCount === 0) return [];
        const part = { filled, first, seed: seedOf(i * minis + m) };
        first += filled.labelCount;
        return [part];
      });
      if (parts.length === 0) continue;
      totals.add(update.cached.run(program, parts, feedsFor));
    }
  }
  for (const [i, batch] of 'cached' in update ? [] : batches.entries()) {
    if (batch.labelCount === 0) continue;
    const feeds = { ...feedsFor(batch), seed: seedOf(i) };
    if ('step' in update) {
      const out = program.run(update.step, { ...feeds, ...scalars });
      totals.add(out);
      gradNorm = scalarOf(out.norm);
    } else if ('accumulate' in update) totals.add(program.run(update.accumulate, feeds));
  }
  if ('apply' in update) gradNorm = scalarOf(program.run(update.apply, scalars).norm);
  const tokens = batches.reduce((sum, { tokenCount }) => sum + tokenCount, 0);
  const { loss, correct } = totals;
  const tokenAccuracy = measuresAccuracy(objective) ? correct / labels : null;
  const metrics = metricsOf(objective, 'step', {
    loss,
    weight,
    accuracy: tokenAccuracy,
    wanted: [],
    predicted: [],
    classes: setup.layout.classes ?? 0,
    means: totals.means(labels),
  });
  return { loss, tokenAccuracy, gradNorm, learningRate, tokens, metrics };
}

/**
 * Learning rate of optimizer step `step` (from 0) of `total`: linear warmup, then constant, linear to 0, a cosine to 0 or to a minimum
 * rate, or warmup, a constant rate and a decay at the end.
 * Source: transformers, optimization.py (get_*_schedule_with_warmup, get_cosine_with_min_lr_schedule_with_warmup, get_wsd_schedule),
 * except that warmup ends before the last step: transformers trains a run of one step at rate 0.
 */
export function learningRateAt(training: ResolvedTraining, step: number, total: number): number {
  const { learning_rate: peak, lr_scheduler_kwargs: kwargs = {} } = training;
  const warmup = Math.min(training.warmup_steps, total - 1);
  if (training.lr_scheduler_type === 'warmup_stable_decay')
    return peak * Math.max(0, stableShare(kwargs, step, warmup, total));
  if (step < warmup) return (peak * step) / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, total - warmup);
  switch (training.lr_scheduler_type) {
    case 'constant':
      return peak;
    case 'linear':
      return peak * Math.max(0, 1 - progress);
    case 'cosine':
      return peak * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
    case 'cosine_with_min_lr': {
      const least = kwargs.min_lr_rate ?? kwargs.min_lr! / peak;
      return peak * Math.max(0, least + (1 - least) * fall('cosine', progress, kwargs.num_cycles));
    }
  }
}

type Kwargs = NonNullable<ResolvedTraining['lr_scheduler_kwargs']>;
type Shape = NonNullable<Kwargs['decay_type']>;

/** Share of the peak rate. A run with fewer steps than were planned when it was requested decays sooner. */
function stableShare(kwargs: Kwargs, step: number, warmup: number, total: number): number {
  const { min_lr_ratio: least = 0, warmup_type: rises = 'linear', decay_type: falls = 'cosine' } = kwargs;
  const above = (share: number) => share * (1 - least) + least;
  if (step < warmup) return above(rise(rises, step / Math.max(1, warmup)));
  const decay = Math.min(kwargs.num_decay_steps ?? 0, total - warmup);
  const stable = Math.min(kwargs.num_stable_steps ?? total, total - warmup - decay);
  const since = step - warmup - stable;
  if (since < 0) return 1;
  return since < decay ? above(fall(falls, since / Math.max(1, decay), kwargs.num_cycles)) : least;
}

function rise(shape: Shape, progress: number): number {
  if (shape === 'linear') return progress;
  return shape === 'cosine' ? 0.5 * (1 - Math.cos(Math.PI * progress)) : 1 - Math.sqrt(1 - progress);
}

function fall(shape: Shape, progress: number, cycles = 0.5): number {
  if (shape === 'linear') return 1 - progress;
  return shape === 'cosine' ? 0.5 * (1 + Math.cos(2 * Math.PI * cycles * progress)) : 1 - Math.sqrt(progress);
}

/** The scalars of step `t` (from 1), see `StepInputs`. */
export function optimizerScalars(
  { adam_beta1: beta1, adam_beta2: beta2, ema_decay: decay }: ResolvedTraining,
  learningRate: number,
  t: number,
) {
  return {
    // The average starts with the adapter after the first step.
    ...(decay === undefined ? {} : { average_keeps: Float32Array.of(t === 1 ? 0 : decay) }),
    learning_rate: Float32Array.of(learningRate),
    step_size: Float32Array.of(learningRate / (1 - beta1 ** t)),
    root_correction: Float32Array.of(Math.sqrt(1 - beta2 ** t)),
  };
}
