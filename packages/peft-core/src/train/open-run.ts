import { kernelSet, releaseMemory } from '@graft/tf-graph';
import {
  type BatchPlan,
  miniBatchCount,
  planTraining,
  roundToLabels,
  type TrainingData,
} from '../examples/index.ts';
import { metricColumns } from '../objectives/metrics.ts';
import { namedMethod } from '../objectives/objectives.ts';
import { baseForm } from '../peft-model/peft-model.ts';
import { sha256 } from '../sha256.ts';
import { countOf } from '../tuners/file-tensors.ts';
import { attach } from '../tuners/registry.ts';
import type { AttachmentForm } from '../tuners/tuner.ts';
import { type BaseStorage, baseStorage } from '../weights/base-storage.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { CurveWatch, type Finding } from './advice/curve-watch.ts';
import { BestModel } from './best-model.ts';
import { makeFolder } from './checkpoints/durable-files.ts';
import { CODE_VERSION } from './checkpoints/manifest.ts';
import { evaluationAt, MetricLog, type MetricSeries } from './checkpoints/metric-series.ts';
import { loadCheckpoint, type SkippedCheckpoint } from './checkpoints/read-checkpoint.ts';
import { BEST_ADAPTER, type CheckpointState } from './checkpoints/write-checkpoint.ts';
import {
  type Measured,
  type Measurement,
  measuredExamples,
  planMeasured,
  retrievesPairs,
  setColumns,
} from './evaluation.ts';
import { implementationHere } from './machine/implementation.ts';
import { lossOptions } from './objectives/losses.ts';
import { effectivePrecision, isGraftKernels, type Requirements, threadCount } from './precision.ts';
import type { TrainOptions } from './records.ts';
import type { TrainingSetup } from './setup.ts';
import { startValues } from './start-values.ts';
import { StepClock } from './step-clock.ts';
import {
  AVERAGE,
  addTrainProgram,
  buildTrainProgram,
  graphKey,
  mainFunction,
  stateOf,
  type TrainProgram,
} from './train-program.ts';
import type { WarmModel } from './warm-model.ts';

/** A training run: its fixed inputs and its progress. */
export interface TrainingRun {
  /** As requested; the reference pass may decide the learning rate. */
  options: TrainOptions;
  readonly setup: TrainingSetup;
  readonly plan: BatchPlan;
  /** The examples that the model is measured on; null without validation data and `verify`. */
  readonly measuring: (Measured & { plan: BatchPlan }) | null;
  readonly precision: 'fp32' | 'bf16';
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
  const { base, training, checkpoints } = options;
  const plan = planTraining(setup.data.training, training, setup.layout, setup.data.mixed);
  const measured = measuredExamples(setup.data, options.verify ?? false);
  const measuring = measured && {
    ...measured,
    plan: planMeasured(measured, training, setup.layout),
  };
  const precision = effectivePrecision(training.precision);
  const storage = baseStorage(training.base_dtype, precision);
  const baseDigest = await base.digest();
  const compute = { plan, evaluation: measuring?.plan ?? null, precision, storage, baseDigest };
  const built = await openProgram(options, setup, compute, warm);
  const identity = identityOf(options, setup.data, { baseDigest, precision });
  const { layout } = built.model;
  if (checkpoints) await makeFolder(checkpoints.dir);
  const { checkpoint, passedOver } = await loadCheckpoint(
    checkpoints?.candidates ?? [],
    layout,
    stateOf(training),
    identity,
  );
  const zeros = new Float32Array(layout.size);
  const series = checkpoint?.series ?? null;
  const best = new BestModel(training);
  for (const evaluated of evaluationsOf(series)) best.take(evaluated);
  const watch = new CurveWatch({
    totalSteps: plan.steps,
    warmupSteps: training.warmup_steps,
    continues: Boolean(options.initialAdapter),
    prefers: training.preference !== undefined,
  });
  const starting = { ...options, seed: training.seed, baseStorage: training.base_dtype };
  const start = checkpoint ? null : await startValues(built.model, base, starting);
  await built.program.write(
    stateOf(training).map((part): [string, Float32Array] => [
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
    precision,
    baseDigest,
    identity,
    built,
    passedOver,
    resumedFrom: checkpoint?.step ?? null,
    clock: new StepClock(),
    log: new MetricLog(series, [
      ...metricColumns(setup.objective),
      ...setColumns(setup.objective, measured?.sets ?? null),
    ]),
    kept: { step: checkpoint?.step ?? 0, at: performance.now() },
    step: checkpoint?.step ?? 0,
    trainedTokens: checkpoint?.trainedTokens ?? 0,
    finalLoss: checkpoint?.series.train.loss.at(-1) ?? Number.NaN,
    measurement: null,
    best,
    watch,
    found: series ? findingsIn(series, watch) : [],
    references: checkpoint?.references ?? null,
    bestAdapter:
      checkpoint && training.load_best_model_at_end ? bestAdapterIn(checkpoint, best, training) : null,
  };
}

function* evaluationsOf(series: MetricSeries | null) {
  if (!series) return;
  for (const i of series.evaluation.step.keys()) yield evaluationAt(series, i);
}

function findingsIn(series: MetricSeries, watch: CurveWatch): Finding[] {
  const { train, evaluation } = series;
  const findings: Finding[] = [];
  let next = 0;
  for (const [i, loss] of train.loss.entries()) {
    const step = { loss, tokenAccuracy: train.tokenAccuracy[i]!, gradNorm: train.gradNorm[i]! };
    findings.push(...watch.takeStep(step));
    if (evaluation.step[next] === i + 1) findings.push(...watch.takeEvaluation(evaluationAt(series, next++)));
  }
  return findings;
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
  { baseDigest, precision }: { baseDigest: string; precision: Requirements['precision'] },
): string {
  const { base, training, peft, requirements, initialName, initialAdapter, initialParameters } = options;
  // The checkpoint interval does not change results.
  const { checkpoint_steps: _, checkpoint_seconds: __, ...rest } = training;
  // A job's record has the decided rate once the reference pass has decided, which follows from the other inputs.
  if (rest.learning_rate_if_known !== undefined) rest.learning_rate = 0;
  const here = { precision, threads: threadCount(), device: null, kernels: kernelSet() };
  // Without a GPU model, as in jobs of earlier versions, the digest is the same as before the field existed.
  const { threads, device, gpu, kernels, precision: products }: Computed = requirements ?? here;
  return digestOf({
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
      precision: products,
      threads,
      device,
      kernels,
      gpu,
      stock: kernels !== null && isGraftKernels(kernels) ? undefined : STOCK_REVISION,
    },
  });
}

/** The program with the base model's weights: a held one if it has the same base and shapes, else a new one. */
function openProgram(
  { base, peft, training, initialAdapter, sharesBase }: TrainOptions,
  { architecture, objective, layout, data, classWeights }: TrainingSetup,
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
  // An adapter's files hold an encoder's output, not the encoder. Without an encoder both forms are equal and share a program.
  const encodes = attach(peft, architecture, 'trained').derive !== undefined;
  const form: AttachmentForm = encodes && !initialAdapter ? 'trained' : 'folded';
  const grid = compute.plan.shape;
  // A batch embedded in mini-batches has the capacity that it would have without them.
  const wholeBatch = miniBatchCount(training) > 1 ? roundToLabels(training.batch_size) : null;
  const retrieves = retrievesPairs(training);
  const evaluationGrid = compute.evaluation?.shape ?? null;
  const implementation = implementationHere();
  const { labels } = data;
  const { classes = 0 } = layout;
  const options = lossOptions(objective, training);
  const { task_type: task } = peft;
  const onBase = { kernels: kernelSet(), baseDigest, labels, task, storage, precision };
  const keys = {
    base: digestOf({ ...onBase, ...baseForm(architecture, peft, implementation) }),
    program: digestOf({
      ...onBase,
      peft,
      form,
      objective,
      classes,
      lossOptions: options,
      grid,
      evaluationGrid,
      wholeBatch,
      retrieves,
      // The rest of `training` is fed to each step, so jobs that differ in it share a program.
      options: graphKey(training),
      // Without label smoothing, class weights are part of the feeds of each step.
      classWeights: training.label_smoothing_factor ? classWeights : null,
    }),
  };
  const spec = {
    architecture,
    objective,
    classes,
    options,
    peft,
    form,
    training,
    classWeights,
    storage,
    precision,
    implementation,
    grid,
    evaluationGrid,
    wholeBatch,
    retrieves,
  } as const;
  const load = async () => {
    const built = buildTrainProgram(spec);
    const { program, update } = built;
    const { stacks } = built.model;
    const prepare = async () => {
      await program.prepare(mainFunction(update));
      releaseMemory();
    };
    const fill = async () => await loadWeights(program, base, architecture, storage, { stacks });
    try {
      if (countOf(architecture.parameters) < worthBoth) {
        await prepare();
        await fill();
      } else {
        const both = [prepare(), fill()];
        // A program cannot be closed while it is being prepared.
        await Promise.allSettled(both);
        await Promise.all(both);
      }
      releaseMemory();
      return built;
    } catch (error) {
      program.close();
      throw error;
    }
  };
  return warm.open(keys, load, sharesBase ? (to, number) => addTrainProgram(spec, to, number) : undefined);
}

/** Below this number of parameters, a step needs less memory than preparing it while the weights are read. */
const worthBoth = 50_000_000;

function digestOf(value: unknown): string {
  return sha256(JSON.stringify(value));
}
