import { type BatchPlan, planMeasuring, planTraining } from '../examples/index.ts';
import { sha256 } from '../sha256.ts';
import { attach } from '../tuners/registry.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { type BaseStorage, baseStorage } from '../weights/stored-weights.ts';
import { CODE_VERSION, type PassedOver, readNewestCheckpoint } from './checkpoint.ts';
import { type Measured, type Measurement, measuredExamples } from './evaluation.ts';
import { effectivePrecision } from './precision.ts';
import type { TrainOptions } from './records.ts';
import type { TrainingSetup } from './setup.ts';
import { startValues } from './start-values.ts';
import { StepClock } from './step-clock.ts';
import { buildTrainProgram, GRAPH_OPTIONS, type TrainProgram } from './train-program.ts';
import type { WarmModel } from './warm-model.ts';

/** A training run: what is fixed when it opens, and its progress. */
export interface TrainingRun {
  readonly options: TrainOptions;
  readonly setup: TrainingSetup;
  readonly plan: BatchPlan;
  /** What the model is measured on; null without validation data and `verify`. */
  readonly measuring: (Measured & { plan: BatchPlan }) | null;
  readonly precision: 'fp32' | 'bf16';
  /** SHA-256 of the base model's weights. */
  readonly baseDigest: string;
  /** Digest of all inputs: a checkpoint of another identity is not this run's. */
  readonly identity: string;
  readonly built: TrainProgram;
  /** Step of the checkpoint that the run continues; null when it starts from the beginning. */
  readonly resumedFrom: number | null;
  readonly passedOver: PassedOver | null;
  readonly clock: StepClock;
  /** Optimizer steps done. */
  step: number;
  trainedTokens: number;
  /** Of the last step; NaN before it. */
  finalLoss: number;
  /** The last evaluation. */
  measurement: Measurement | null;
}

/** Plans the run, loads the model into `warm`, and sets its state: that of the newest checkpoint, or start values. */
export async function openRun(
  options: TrainOptions,
  setup: TrainingSetup,
  warm: WarmModel,
): Promise<TrainingRun> {
  const { base, training, checkpointDir, resume } = options;
  const plan = planTraining(setup.data.training, training, setup.layout);
  const measured = measuredExamples(setup.data, options.verify ?? false);
  const measuring = measured && {
    ...measured,
    plan: planMeasuring(measured.examples, training, setup.layout),
  };
  const precision = effectivePrecision(training.precision);
  const storage = baseStorage(training.base_dtype, precision);
  const baseDigest = await base.digest();
  const compute = { plan, evaluation: measuring?.plan ?? null, precision, storage, baseDigest };
  const built = await openProgram(options, setup, compute, warm);
  const identity = digestOf({
    version: CODE_VERSION,
    base: baseDigest,
    data: setup.data.digest,
    tokenizer: base.tokenizerFiles,
    peft: options.peft,
    training,
    initial: options.initialAdapter ?? options.initialParameters ?? null,
  });
  const { layout } = built.model;
  const { checkpoint, passedOver } =
    resume && checkpointDir
      ? await readNewestCheckpoint(checkpointDir, layout, identity)
      : { checkpoint: null, passedOver: null };
  const zeros = new Float32Array(layout.size);
  await built.program.write(
    checkpoint?.state ?? [
      ['adapter', await startValues(built.model, base, { ...options, seed: training.seed })],
      ['exp_avg', zeros],
      ['exp_avg_sq', zeros],
    ],
  );
  if (training.gradient_accumulation_steps > 1) await built.program.write([['gradient_sum', zeros]]);
  return {
    ...{ options, setup, plan, measuring, precision, baseDigest, identity, built, passedOver },
    resumedFrom: checkpoint?.step ?? null,
    clock: new StepClock(),
    step: checkpoint?.step ?? 0,
    trainedTokens: checkpoint?.trainedTokens ?? 0,
    finalLoss: Number.NaN,
    measurement: null,
  };
}

/** The program with the base model's weights in it: an earlier job's, if that had the same base and shapes, or a new one. */
function openProgram(
  { base, peft, training, initialAdapter }: TrainOptions,
  { architecture, objective, data }: TrainingSetup,
  compute: {
    plan: BatchPlan;
    evaluation: BatchPlan | null;
    precision: 'fp32' | 'bf16';
    storage: BaseStorage;
    baseDigest: string;
  },
  warm: WarmModel,
): Promise<TrainProgram> {
  const { baseDigest, storage, precision } = compute;
  // An adapter's files hold what an encoder gave, not the encoder. Without one the forms are the same, and share a program.
  const encodes = attach(peft, architecture, 'trained').derive !== undefined;
  const form = encodes && !initialAdapter ? 'trained' : 'folded';
  const grid = compute.plan.shape;
  const evaluationGrid = compute.evaluation?.shape ?? null;
  const key = digestOf({
    ...{ baseDigest, peft, form, objective, labels: data.labels, grid, evaluationGrid, storage, precision },
    // The rest of `training` is fed to each step, so jobs that differ in it share a program.
    options: GRAPH_OPTIONS.map((name) => training[name]),
  });
  return warm.open(key, async () => {
    const spec = {
      architecture,
      objective,
      peft,
      form,
      training,
      storage,
      precision,
      grid,
      evaluationGrid,
    } as const;
    const built = buildTrainProgram(spec);
    try {
      await loadWeights(built.program, base, architecture, storage);
      return built;
    } catch (error) {
      built.program.close();
      throw error;
    }
  });
}

function digestOf(value: unknown): string {
  return sha256(JSON.stringify(value));
}
