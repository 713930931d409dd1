import { measuringMemory } from '../../estimate/peak-memory.ts';
import { layoutOfBase } from '../../examples/index.ts';
import { readAdapter } from '../../files.ts';
import { adapterValues } from '../../peft-model/adapter-values.ts';
import type { PeftModel } from '../../peft-model/peft-model.ts';
import type { BaseStorage } from '../../weights/base-storage.ts';
import { loadWeights } from '../../weights/load-weights.ts';
import { evaluate, type Measurement, type Metrics, planMeasured } from '../evaluation.ts';
import { meetRequirements } from '../machine/requirements.ts';
import type { TrainOptions } from '../records.ts';
import { setUpTraining, type TrainingSetup } from '../setup.ts';
import { startValues } from '../start-values.ts';
import { buildEvaluationProgram } from '../train-program.ts';

/** Losses in nats per labelled token, on the examples that the live model was measured on. */
export interface AdapterVerification {
  /** Loss of the adapter's files on the base model in the storage type of training. */
  reloadedLoss: number;
  /**
   * Loss of the base model, in the storage type of `served` if that is measured, else in that of `reloadedLoss`. For a task with a head
   * that the base lacks: of the adapter before its first step.
   */
  baseLoss: number;
  /** True where the files' weights differ from those before the first step, and whenever the losses differ. */
  moved: boolean;
  /** Measurements on the base model as it is served; null if not requested, or if they need more memory than allowed. */
  served: ServedFigures | null;
}

/** Measurements of an adapter on the base model as it is served. */
export interface ServedFigures {
  loss: number;
  /** By wire name. */
  metrics: Metrics;
}

export type VerificationOptions = Pick<
  TrainOptions,
  | 'base'
  | 'trainingFile'
  | 'validationFile'
  | 'trainingFiles'
  | 'validationFiles'
  | 'peft'
  | 'training'
  | 'method'
  | 'requirements'
  | 'initialAdapter'
> & { adapterDir: string };

/** Storage of the base model where it is served, whatever it was in training. */
const SERVED: BaseStorage = 'float32';

/** Maximum memory, by `measuringMemory`, for measuring on the base as it is served; null: no limit. */
export interface ServedLimit {
  memoryBytes: number | null;
}

/**
 * Measures a finished adapter from its files, loaded as a user who downloads them would, and the base model without it; with `served`
 * also the adapter on the base model as it is served, and that model without it. Only one base model is loaded at a time. The caller
 * compares: the first loss must equal that in `done.verification` of `train`, the second must not. Throws `adapter_mismatch` and the
 * errors of `readAdapter`.
 */
export async function verifyAdapter(
  options: VerificationOptions & { served?: ServedLimit },
): Promise<AdapterVerification> {
  const { base, peft, training } = options;
  const prepared = await prepare(options);
  const { setup } = prepared;
  const trainedOn = setup.computation.storage;
  const starting = { seed: training.seed, baseStorage: training.base_dtype };
  let hasMoved = () => Promise.resolve(true);
  const { loss: reloadedLoss } = await measure(options, prepared, trainedOn, {
    ...prepared.written,
    values: (model) => {
      const values = prepared.written.values(model);
      hasMoved = async () => {
        // The files hold what is derived from the trained parameters, such as an encoder's output: they cannot be compared with start values.
        if (setup.encodes) return true;
        const start = await startValues(model, base, { ...options, ...starting });
        // Start values from the pass over the data set are not known here. They move only after the factors beside them, which start at zero.
        return values.some((value, i) => value !== start[i] && !Number.isNaN(start[i]));
      };
      return values;
    },
  });
  const served =
    options.served && !setup.needsReference ? await servedFigures(options, prepared, options.served) : null;
  const untrained =
    setup.architecture.taskHead.length > 0
      ? { peft, form: 'trained' as const, values: (model: PeftModel) => startValues(model, base, starting) }
      : { peft: null, form: 'folded' as const, values: null };
  const { loss: baseLoss } = await measure(options, prepared, served ? SERVED : trainedOn, untrained);
  const loss = served?.loss ?? reloadedLoss;
  return { reloadedLoss, baseLoss, moved: loss !== baseLoss || (await hasMoved()), served };
}

/**
 * Measures a finished adapter's files on the base model as it is served, on the validation examples: null if there are none, or if it
 * needs more memory than `limit`. Throws as `verifyAdapter` does.
 */
export async function measureServed(
  options: VerificationOptions,
  limit: ServedLimit,
): Promise<ServedFigures | null> {
  const prepared = await prepare(options);
  const { data, needsReference } = prepared.setup;
  return data.validation.length > 0 && !needsReference ? await servedFigures(options, prepared, limit) : null;
}

interface Prepared {
  setup: TrainingSetup;
  /** The adapter in the files. */
  written: { peft: VerificationOptions['peft']; form: 'folded'; values: (model: PeftModel) => Float32Array };
  adapterParameters: number;
}

async function prepare(options: VerificationOptions): Promise<Prepared> {
  meetRequirements(options.requirements, options.training.precision);
  const setup = await setUpTraining(options);
  const { config, tensors } = await readAdapter(options.adapterDir);
  return {
    setup,
    written: { peft: config, form: 'folded', values: (model) => adapterValues(model, tensors) },
    adapterParameters: [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
  };
}

async function servedFigures(
  options: VerificationOptions,
  prepared: Prepared,
  { memoryBytes }: ServedLimit,
): Promise<ServedFigures | null> {
  const { setup, adapterParameters } = prepared;
  const { plan } = planMeasured(setup.data, options.training, setup.layout, true)!;
  const needed = measuringMemory({
    model: setup.architecture,
    shape: plan.shape,
    kernels: setup.computation.implementation === 'kernels',
    adapterParameters,
  });
  if (memoryBytes !== null && needed > memoryBytes) return null;
  const { loss, metrics } = await measure(options, prepared, SERVED, prepared.written);
  return { loss, metrics };
}

/** Measures one model. Closes its program before returning, so that two base models are never loaded at once. */
async function measure(
  { base, training }: VerificationOptions,
  { setup: { architecture, objective, data, layout, computation } }: Prepared,
  storage: BaseStorage,
  adapter: {
    peft: VerificationOptions['peft'] | null;
    form: 'trained' | 'folded';
    values: ((model: PeftModel) => Float32Array | Promise<Float32Array>) | null;
  },
): Promise<Measurement> {
  const { peft, form } = adapter;
  const own = peft ? layout : { ...layout, ...layoutOfBase };
  const measured = planMeasured(data, training, own, true)!;
  const built = buildEvaluationProgram({
    architecture,
    objective,
    ...computation,
    peft,
    form,
    storage,
    grid: measured.plan.shape,
  });
  try {
    await loadWeights(built.program, base, architecture, storage, { stacks: built.model.stacks });
    if (adapter.values) await built.program.write([['adapter', await adapter.values(built.model)]]);
    return evaluate(built, measured, own);
  } finally {
    built.program.close();
  }
}
