import { kernelSet, releaseMemory } from '@graft/tf-graph';
import {
  type BatchPlan,
  miniBatchCount,
  planMeasuring,
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
import { adoptCheckpoint, type PassedOver } from './checkpoints/read-checkpoint.ts';
import { BEST_ADAPTER, type CheckpointState } from './checkpoints/write-checkpoint.ts';
import { type Measured, type Measurement, measuredExamples, retrievesPairs } from './evaluation.ts';
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
  readonly passedOver: PassedOver[];
  readonly clock: StepClock;
  /** What was measured so far, also before the run was resumed. */
  readonly log: MetricLog;
  /** The last step that a checkpoint holds, if any, and when it was written or the run opened: `performance.now()`. */
  kept: { step: number; at: number };
  /** Optimizer steps done. */
  step: number;
  trainedTokens: number;
  /** Of the last step; NaN before it. */
  finalLoss: number;
  /** The last evaluation. */
  measurement: Measurement | null;
  /** Of the evaluations so far. */
  readonly best: BestModel;
  readonly watch: CurveWatch;
  /** What the curve had shown before the run was resumed. */
  readonly found: Finding[];
  /** The adapter's flat vector at the best evaluation; null before one, and where none is to be published. */
  bestAdapter: Float32Array | null;
}

/** Plans the run, loads the model into `warm`, and sets its state: that of the newest checkpoint, or start values. */
export async function openRun(
  options: TrainOptions,
  setup: TrainingSetup,
  warm: WarmModel,
): Promise<TrainingRun> {
  const { base, training, checkpoints } = options;
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
  const identity = identityOf(options, setup.data, { baseDigest, precision });
  const { layout } = built.model;
  if (checkpoints) await makeFolder(checkpoints.dir);
  const { checkpoint, passedOver } = await adoptCheckpoint(
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
    goesOn: Boolean(options.initialAdapter),
  });
  const start = checkpoint ? null : await startValues(built.model, base, { ...options, seed: training.seed });
  await built.program.write(
    stateOf(training).map((part): [string, Float32Array] => [
      part,
      checkpoint ? checkpoint.state.get(part)! : part === 'adapter' ? start! : zeros,
    ]),
  );
  if ('apply' in built.update) await built.program.write([['gradient_sum', zeros]]);
  return {
    ...{ options, setup, plan, measuring, precision, baseDigest, identity, built, passedOver },
    resumedFrom: checkpoint?.step ?? null,
    clock: new StepClock(),
    log: new MetricLog(series, metricColumns(setup.objective)),
    kept: { step: checkpoint?.step ?? 0, at: performance.now() },
    step: checkpoint?.step ?? 0,
    trainedTokens: checkpoint?.trainedTokens ?? 0,
    finalLoss: checkpoint?.series.train.loss.at(-1) ?? Number.NaN,
    measurement: null,
    best,
    watch,
    found: series ? findingsIn(series, watch) : [],
    bestAdapter:
      checkpoint && training.load_best_model_at_end ? bestAdapterIn(checkpoint, best, training) : null,
  };
}

function* evaluationsOf(series: MetricSeries | null) {
  if (!series) return;
  for (const i of series.evaluation.step.keys()) yield evaluationAt(series, i);
}

function findingsIn({ train, evaluation }: MetricSeries, watch: CurveWatch): Finding[] {
  const findings: Finding[] = [];
  let next = 0;
  for (const [i, loss] of train.loss.entries()) {
    const step = { loss, tokenAccuracy: train.tokenAccuracy[i]!, gradNorm: train.gradNorm[i]! };
    findings.push(...watch.takeStep(step));
    if (evaluation.step[next] === i + 1) findings.push(...watch.takeEvaluation(evaluation.loss[next++]!));
  }
  return findings;
}

/** A checkpoint of the step that was the best holds it as the adapter itself, or the average. */
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

/** Of what stock operations make of a step: raised where that changes bits, which kernels keep. */
const STOCK_REVISION = 2;

/** Of a run without requirements, of whose device nothing is asked. */
type Computed = Omit<Requirements, 'device' | 'kernels'> & { device: string | null; kernels: string | null };

/** A checkpoint is another run's unless all of this is equal: then it would end with other bits. */
export function identityOf(
  options: TrainOptions,
  data: Pick<TrainingData, 'digest' | 'format'>,
  { baseDigest, precision }: { baseDigest: string; precision: Requirements['precision'] },
): string {
  const { base, training, peft, requirements, initialName, initialAdapter, initialParameters } = options;
  // When checkpoints are written changes no bits.
  const { checkpoint_steps: _, checkpoint_seconds: __, ...rest } = training;
  const here = { precision, threads: threadCount(), device: null, kernels: kernelSet() };
  // Without a model of GPU, as of jobs of versions before there was one, the digest is what it was.
  const { threads, device, gpu, kernels, precision: products }: Computed = requirements ?? here;
  return digestOf({
    version: CODE_VERSION,
    base: baseDigest,
    data: data.digest,
    tokenizer: base.tokenizerFiles,
    peft,
    training: rest,
    // Undefined, so that the digest is what it was before there were methods, where it is the format's default.
    method: options.method && namedMethod(data.format, options.method),
    initial: initialName ?? initialAdapter ?? initialParameters ?? null,
    computed: {
      ...{ precision: products, threads, device, kernels, gpu },
      stock: kernels !== null && isGraftKernels(kernels) ? undefined : STOCK_REVISION,
    },
  });
}

/** The program with the base model's weights in it: an earlier one's, if that had the same base and shapes, or a new one. */
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
  // An adapter's files hold what an encoder gave, not the encoder. Without one the forms are the same, and share a program.
  const encodes = attach(peft, architecture, 'trained').derive !== undefined;
  const form: AttachmentForm = encodes && !initialAdapter ? 'trained' : 'folded';
  const grid = compute.plan.shape;
  // A batch that is embedded in mini-batches has room for as many pairs as one that is not.
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
      ...{
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
      },
      // The rest of `training` is fed to each step, so jobs that differ in it share a program.
      options: graphKey(training),
      // Otherwise they are in what is fed to each step.
      classWeights: training.label_smoothing_factor ? classWeights : null,
    }),
  };
  const spec = {
    ...{ architecture, objective, classes, options, peft, form, training, classWeights },
    ...{ storage, precision, implementation, grid, evaluationGrid, wholeBatch, retrieves },
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
        // A program that is being prepared cannot be closed.
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

/** Below so many a step of a small model needs less memory than preparing it and reading its weights at once. */
const worthBoth = 50_000_000;

function digestOf(value: unknown): string {
  return sha256(JSON.stringify(value));
}
