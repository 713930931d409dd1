import { createHash } from 'node:crypto';
import { adapterTensorsToSave } from '../adapter-values.ts';
import { GraftError } from '../errors.ts';
import { writeAdapter } from '../formats/index.ts';
import { loadWeights } from '../load-weights.ts';
import { architectureFor } from '../models/registry.ts';
import {
  type BatchPlan,
  type FilledBatch,
  fillBatch,
  loadTokenizer,
  planBatches,
  planEvaluation,
  type TokenizedExample,
} from '../text/index.ts';
import { type CheckpointState, readNewestCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { readTrainingData } from './data.ts';
import { optimizerScalars } from './optimizer.ts';
import { effectivePrecision } from './precision.ts';
import type { TrainOptions, TrainRecord } from './records.ts';
import { learningRateAt } from './schedule.ts';
import { startValues } from './start-values.ts';
import { buildTrainProgram, GRAPH_OPTIONS, STATE, type TrainProgram } from './train-program.ts';
import { WarmModel } from './warm-model.ts';

/** Changes when a new version of this code would not continue an old checkpoint bit for bit. */
const CODE_VERSION = 'train-1';

/**
 * Trains an adapter, telling of each step. The same inputs and seed give the same adapter bit for bit, also when the run is
 * ended at any step and resumed from its checkpoint. Each step blocks the calling thread while TensorFlow computes.
 *
 * Throws GraftError: the data's faults (`invalid_jsonl`, `example_too_long`, …), `unsupported_model`,
 * `target_modules_not_found`, `training_diverged` when a loss is not a number.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainRecord> {
  const { base, peft, training, checkpointDir = null, signal } = options;
  const architecture = architectureFor(base.modelType, base.config, peft.task_type);
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  const data = await readTrainingData(
    tokenizer,
    options.trainingFile,
    options.validationFile ?? null,
    training,
  );
  const plan = planTraining(data.training, options);
  const evaluation =
    data.validation.length > 0
      ? planEvaluation({
          ...measure(data.validation),
          batchSize: Math.max(training.batch_size, 8),
          packing: training.packing,
        })
      : null;

  const precision = effectivePrecision(training.precision);
  const narrow = training.base_dtype === 'auto' ? precision === 'bf16' : training.base_dtype === 'bf16';
  const storage = narrow ? 'bfloat16' : 'float32';
  const baseDigest = await base.digest();
  const programKey = digestOf({
    baseDigest,
    peft,
    shape: plan.shape,
    evaluation: evaluation?.shape ?? null,
    storage,
    precision,
    // The rest of `training` is fed to each step, so jobs that differ in it share a program.
    options: GRAPH_OPTIONS.map((name) => training[name]),
  });
  const warm = options.warm ?? new WarmModel();
  let held = warm.take(programKey);
  if (!held) {
    held = buildTrainProgram({
      architecture,
      peft,
      training,
      storage,
      precision,
      grid: plan.shape,
      evaluationGrid: evaluation?.shape ?? null,
    });
    await loadWeights(held.program, base, architecture, storage);
    warm.keep(programKey, held);
  }
  const { program, model } = held;

  try {
    const identity = digestOf({
      version: CODE_VERSION,
      base: baseDigest,
      data: data.digest,
      tokenizer: base.tokenizerFiles,
      peft,
      training,
      initial: options.initialAdapter ?? null,
    });
    const resumed =
      options.resume && checkpointDir
        ? await readNewestCheckpoint(checkpointDir, model.layout, identity)
        : null;
    const zeros = () => new Float32Array(model.layout.size);
    const start: CheckpointState = resumed ?? {
      step: 0,
      trainedTokens: 0,
      microStep: 0,
      adapter: await startValues(model, base, training.seed, options.initialAdapter ?? null),
      exp_avg: zeros(),
      exp_avg_sq: zeros(),
    };
    await program.write(STATE.map((name) => [name, start[name]]));
    if (training.gradient_accumulation_steps > 1) await program.write([['gradient_sum', zeros()]]);

    const count = (parameters: { shape: number[] }[]) =>
      parameters.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0);
    yield {
      type: 'start',
      trainableParameters: model.layout.size,
      totalParameters: count(architecture.parameters) + model.layout.size,
      totalSteps: plan.steps,
      examples: data.training.length,
      tokensPerEpoch: data.training.reduce((sum, e) => sum + e.ids.length, 0),
      paddingFraction: plan.stats.paddingFraction,
      resumedFrom: resumed?.step ?? null,
      precision,
    };

    const clock = new StepClock();
    let trainedTokens = start.trainedTokens;
    let finalLoss = Number.NaN;
    let validationLoss: number | null = null;
    const checkpoint = async (step: number) => {
      const state = program.read([...STATE]) as Map<(typeof STATE)[number], Float32Array>;
      const [adapter, exp_avg, exp_avg_sq] = STATE.map((name) => state.get(name)!);
      const saved = {
        step,
        trainedTokens,
        microStep: 0,
        adapter: adapter!,
        exp_avg: exp_avg!,
        exp_avg_sq: exp_avg_sq!,
      };
      return writeCheckpoint(checkpointDir!, saved, model.layout, identity);
    };

    for (let step = start.step; step < plan.steps; step++) {
      if (signal?.aborted) {
        if (checkpointDir && step > 0) yield { type: 'checkpoint', step, dir: await checkpoint(step) };
        yield { type: 'stopped', step };
        return;
      }
      const began = performance.now();
      const result = runStep(held, plan, data.training, options, step);
      trainedTokens += result.tokens;
      finalLoss = result.loss;
      clock.add(result.tokens, (performance.now() - began) / 1000);
      if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradNorm)) {
        throw new GraftError(
          'training_diverged',
          `the loss of step ${step + 1} is not a number; try a smaller learning rate`,
          { param: 'training.learning_rate' },
        );
      }
      const done = step + 1;
      yield {
        type: 'step',
        step: done,
        totalSteps: plan.steps,
        epoch: plan.epochAt(step),
        loss: result.loss,
        tokenAccuracy: result.accuracy,
        learningRate: result.learningRate,
        gradNorm: result.gradNorm,
        tokens: trainedTokens,
        tokensPerSecond: clock.tokensPerSecond(),
        secondsRemaining: clock.secondsPerStep() * (plan.steps - done),
      };
      const last = done === plan.steps;
      if (evaluation && (last || done % training.eval_steps === 0)) {
        const measured = evaluate(held, evaluation, data.validation);
        validationLoss = measured.loss;
        yield { type: 'evaluation', step: done, ...measured };
      }
      if (checkpointDir && !last && done % training.checkpoint_steps === 0) {
        yield { type: 'checkpoint', step: done, dir: await checkpoint(done) };
      }
    }
    // The last checkpoint comes before the files: a crash while they are written loses nothing.
    if (checkpointDir) yield { type: 'checkpoint', step: plan.steps, dir: await checkpoint(plan.steps) };
    if (evaluation && validationLoss === null)
      validationLoss = evaluate(held, evaluation, data.validation).loss;

    const { files } = await writeAdapter(options.outputDir, {
      peft,
      baseModelNameOrPath: options.baseModelName,
      taskType: peft.task_type,
      tensors: adapterTensorsToSave(model, program),
      card: { steps: plan.steps, trainedTokens, finalLoss, validationLoss },
    });
    yield {
      type: 'done',
      adapterDir: options.outputDir,
      steps: plan.steps,
      trainedTokens,
      finalLoss,
      validationLoss,
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      files,
    };
  } catch (error) {
    // After a fault nothing is known of the session's state: the next job starts from a clean one.
    warm.close();
    throw error;
  } finally {
    if (!options.warm) warm.close();
  }
}

function planTraining(examples: TokenizedExample[], { training }: TrainOptions): BatchPlan {
  return planBatches({
    ...measure(examples),
    batchSize: training.batch_size,
    accumulation: training.gradient_accumulation_steps,
    epochs: training.n_epochs,
    seed: training.seed,
    packing: training.packing,
    maxSteps: training.max_steps,
  });
}

function measure(examples: TokenizedExample[]) {
  return {
    lengths: examples.map((e) => e.ids.length),
    labelCounts: examples.map((e) => e.labelled.reduce((sum, flag) => sum + flag, 0)),
  };
}

/** One optimizer step: every micro-batch of it, then the update. */
function runStep(
  { program }: TrainProgram,
  plan: BatchPlan,
  examples: TokenizedExample[],
  { training }: TrainOptions,
  step: number,
) {
  const accumulation = training.gradient_accumulation_steps;
  const batches: FilledBatch[] = [];
  for (let i = 0; i < accumulation; i++) batches.push(fillBatch(plan, examples, step, i));
  const labels = batches.reduce((sum, b) => sum + b.labelCount, 0);
  const learningRate = learningRateAt(training, step, plan.steps);
  const scalars = optimizerScalars(training, learningRate, step + 1);
  let loss = 0;
  let correct = 0;
  let gradNorm = 0;
  for (const [i, batch] of batches.entries()) {
    if (batch.labelCount === 0) continue;
    const feeds = { ...feedsOf(batch, labels), seed: Int32Array.of(training.seed, step * accumulation + i) };
    const out =
      accumulation === 1 ? program.run('step', { ...feeds, ...scalars }) : program.run('accumulate', feeds);
    loss += out.loss!.data[0]!;
    correct += out.correct!.data[0]!;
    if (out.norm) gradNorm = out.norm.data[0]!;
  }
  if (accumulation > 1) gradNorm = program.run('apply', scalars).norm!.data[0]!;
  const tokens = batches.reduce((sum, b) => sum + b.tokenCount, 0);
  return { loss, accuracy: correct / labels, gradNorm, learningRate, tokens };
}

/** Mean loss and token accuracy over all labelled validation tokens. */
function evaluate({ program }: TrainProgram, plan: BatchPlan, examples: TokenizedExample[]) {
  let loss = 0;
  let correct = 0;
  let labels = 0;
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0);
    const out = program.run('evaluate', feedsOf(batch, 1));
    loss += out.loss!.data[0]!;
    correct += out.correct!.data[0]!;
    labels += batch.labelCount;
  }
  return { loss: loss / labels, tokenAccuracy: correct / labels };
}

/** Feeds of a batch whose losses are summed and divided by `labels`. */
function feedsOf(batch: FilledBatch, labels: number) {
  return {
    ids: batch.ids,
    positions: batch.positions,
    segments: batch.segments,
    label_positions: batch.labelPositions,
    label_ids: batch.labelIds,
    label_scales: batch.labelWeights.map((w) => w / labels),
  };
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

/** Speed over the last steps; the first, in which TensorFlow prepares the graph, is left out as soon as others are there. */
class StepClock {
  #steps: { tokens: number; seconds: number }[] = [];
  #first = true;

  add(tokens: number, seconds: number): void {
    if (this.#steps.length === 1 && this.#first) {
      this.#steps = [];
      this.#first = false;
    }
    this.#steps.push({ tokens, seconds });
    if (this.#steps.length > 20) this.#steps.shift();
  }

  tokensPerSecond(): number {
    return this.#steps.reduce((sum, s) => sum + s.tokens, 0) / this.#seconds();
  }

  secondsPerStep(): number {
    return this.#seconds() / this.#steps.length;
  }

  #seconds(): number {
    return this.#steps.reduce((sum, s) => sum + s.seconds, 0);
  }
}
