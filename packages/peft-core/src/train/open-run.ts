import { kernelSet } from '@graft/tf-graph';
import {
  type BatchPlan,
  miniBatchCount,
  planTraining,
  roundToLabels,
  type TrainingData,
} from '../examples/index.ts';
import { columnsOfSet, metricColumns } from '../objectives/metrics.ts';
import { namedMethod } from '../objectives/objectives.ts';
import { sha256 } from '../sha256.ts';
import { CurveWatch, type Finding } from './advice/curve-watch.ts';
import { BestModel } from './best-model.ts';
import { makeFolder } from './checkpoints/durable-files.ts';
import { CODE_VERSION } from './checkpoints/manifest.ts';
import { MetricLog } from './checkpoints/metric-series.ts';
import { loadCheckpoint, type SkippedCheckpoint } from './checkpoints/read-checkpoint.ts';
import { BEST_ADAPTER, type CheckpointState } from './checkpoints/write-checkpoint.ts';
import { type Measured, type Measurement, planMeasured } from './evaluation.ts';
import { computedHere, type Requirements } from './precision.ts';
import type { TrainOptions } from './records.ts';
import type { TrainingSetup } from './setup.ts';
import { startValues } from './start-values.ts';
import { AVERAGE, type TrainProgram } from './train-program.ts';
import type { WarmModel } from './warm-model.ts';

/** A training run: its fixed inputs and its progress. */
export interface TrainingRun {
  /** As requested; the reference pass may decide the learning rate. */
  options: TrainOptions;
  readonly setup: TrainingSetup;
  readonly plan: BatchPlan;
  /** The examples that the model is measured on; null without validation data and `verify`. */
  readonly measuring: Measured | null;
  /** SHA-256 of the base model's weights. */
  readonly baseDigest: string;
  /** Digest of all inputs: a checkpoint with another identity belongs to another run. */
  readonly identity: string;
  readonly built: TrainProgram;
  /** Step of the checkpoint that the run continues; null when it starts from the beginning. */
  readonly resumedFrom: number | null;
  readonly passedOver: SkippedCheckpoint[];
  readonly clock: StepClock;
  /** All measurements so far, including those before the run was resumed. */
  readonly log: MetricLog;
  /** The last step stored in a checkpoint (0 for none), and the `performance.now()` when it was written or the run opened. */
  kept: { step: number; at: number };
  /** Optimizer steps done. */
  step: number;
  trainedTokens: number;
  /** Loss of the last step; NaN before the first. */
  finalLoss: number;
  /** The last evaluation. */
  measurement: Measurement | null;
  readonly best: BestModel;
  readonly watch: CurveWatch;
  /** Findings from before the run was resumed. */
  readonly found: Finding[];
  /** The reference model's values for preference training, once computed or read from a checkpoint; null before, and without a reference. */
  references: Float32Array | null;
  /** The adapter's flat vector at the best evaluation; null before one, and if the best is not to be published. */
  bestAdapter: Float32Array | null;
}

/** Plans the run, loads the model into `warm`, and sets its state: that of the newest checkpoint, or start values. */
export async function openRun(
  options: TrainOptions,
  setup: TrainingSetup,
  warm: WarmModel,
): Promise<TrainingRun> {
  const { base, training, peft, checkpoints } = options;
  const { architecture, objective, classWeights, data, computation } = setup;
  const baseDigest = await base.digest();
  const identity = identityOf(options, data, baseDigest);
  const plan = planTraining(data.training, training, setup.layout, data.mixed);
  const measuring = planMeasured(data, training, setup.layout, options.verify);
  // An adapter's files hold an encoder's output, not the encoder. Without an encoder both forms are equal and share a program.
  const built = await warm.open(
    {
      architecture,
      objective,
      ...computation,
      peft,
      form: setup.encodes && !options.initialAdapter ? 'trained' : 'folded',
      training,
      classWeights,
      grid: plan.shape,
      evaluationGrid: measuring?.plan.shape ?? null,
      // A batch embedded in mini-batches has the capacity that it would have without them.
      wholeBatch: miniBatchCount(training) > 1 ? roundToLabels(training.batch_size) : null,
    },
    { base, baseDigest, labels: data.labels },
    options.sharesBase,
  );
  const { layout } = built.model;
  if (checkpoints) await makeFolder(checkpoints.dir);
  const { checkpoint, passedOver } = await loadCheckpoint(
    checkpoints?.candidates ?? [],
    layout,
    built.state,
    identity,
  );
  const zeros = new Float32Array(layout.size);
  const best = new BestModel(training);
  const watch = new CurveWatch({
    totalSteps: plan.steps,
    warmupSteps: training.warmup_steps,
    continues: Boolean(options.initialAdapter),
    prefers: training.preference !== undefined,
  });
  const log = new MetricLog(checkpoint?.series ?? null, [
    ...metricColumns(objective),
    ...(measuring?.sets ?? []).flatMap(({ name }) => columnsOfSet(name, objective)),
  ]);
  const found: Finding[] = [];
  for (const { step, evaluation } of log.measurements()) {
    found.push(...watch.takeStep(step));
    if (!evaluation) continue;
    best.take(evaluation);
    found.push(...watch.takeEvaluation(evaluation));
  }
  const starting = { ...options, seed: training.seed, baseStorage: training.base_dtype };
  const start = checkpoint ? null : await startValues(built.model, base, starting);
  await built.program.write(
    built.state.map((part): [string, Float32Array] => [
      part,
      checkpoint ? checkpoint.state.get(part)! : part === 'adapter' ? start! : zeros,
    ]),
  );
  if ('apply' in built.update) await built.program.write([['gradient_sum', zeros]]);
  return {
    options,
    setup,
    plan,
    measuring,
    baseDigest,
    identity,
    built,
    passedOver,
    resumedFrom: checkpoint?.step ?? null,
    clock: new StepClock(),
    log,
    kept: { step: checkpoint?.step ?? 0, at: performance.now() },
    step: checkpoint?.step ?? 0,
    trainedTokens: checkpoint?.trainedTokens ?? 0,
    finalLoss: checkpoint?.series.train.loss.at(-1) ?? Number.NaN,
    measurement: null,
    best,
    watch,
    found,
    references: checkpoint?.references ?? null,
    bestAdapter:
      checkpoint && training.load_best_model_at_end ? bestAdapterIn(checkpoint, best, training) : null,
  };
}

/** A checkpoint of the best step stores the best adapter as its current state: the adapter, or the average. */
function bestAdapterIn(
  { step, state }: CheckpointState,
  { best }: BestModel,
  { ema_decay: decay }: TrainOptions['training'],
): Float32Array | null {
  if (!best) return null;
  const last = decay === undefined ? 'adapter' : AVERAGE;
  const adapter = state.get(best.step === step ? last : BEST_ADAPTER);
  if (!adapter) throw new Error(`the checkpoint of step ${step} lacks the best adapter`);
  return adapter;
}

/** Revision of the stock implementation of a step: raised when a change alters its results, unlike those of kernels. */
const STOCK_REVISION = 2;

/** The computation of a run without requirements, for which any device is accepted. */
type Computed = Omit<Requirements, 'device' | 'kernels'> & { device: string | null; kernels: string | null };

/** Digest of everything that determines a run's results. Runs with different digests end with different bits. */
export function identityOf(
  options: TrainOptions,
  data: Pick<TrainingData, 'digest' | 'format' | 'mixed' | 'validationSets'>,
  baseDigest: string,
): string {
  const { base, training, peft, requirements, initialName, initialAdapter, initialParameters } = options;
  // The checkpoint interval does not change results.
  const { checkpoint_steps: _, checkpoint_seconds: __, ...rest } = training;
  // A job's record has the decided rate once the reference pass has decided, which follows from the other inputs.
  if (rest.learning_rate_if_known !== undefined) rest.learning_rate = 0;
  const here = { ...computedHere(training.precision), device: null, kernels: kernelSet() };
  // Without a GPU model, as in jobs of earlier versions, the digest is the same as before the field existed.
  const { threads, device, gpu, kernels, precision }: Computed = requirements ?? here;
  const inputs = {
    version: CODE_VERSION,
    base: baseDigest,
    data: data.digest,
    // Undefined for jobs with one file of each kind, whose digest is the same as before there could be more.
    mixed: data.mixed ?? undefined,
    validationSets: data.validationSets ?? undefined,
    tokenizer: base.tokenizerFiles,
    peft,
    training: rest,
    // Undefined for the format's default method, so that the digest is the same as before methods existed.
    method: options.method && namedMethod(data.format, options.method),
    initial: initialName ?? initialAdapter ?? initialParameters ?? null,
    computed: {
      precision,
      threads,
      device,
      kernels,
      gpu,
      stock: kernels === null || kernels === 'stock' || kernels === 'xla' ? STOCK_REVISION : undefined,
    },
  };
  return sha256(JSON.stringify(inputs));
}

/** Speed over the last 20 steps. The first step, in which TensorFlow prepares the graph, counts only until there is a second. */
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
