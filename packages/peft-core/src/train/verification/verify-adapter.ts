import { planMeasuring, type TrainingExample } from '../../examples/index.ts';
import { readAdapter } from '../../files.ts';
import { adapterValues } from '../../peft-model/adapter-values.ts';
import type { PeftModel } from '../../peft-model/peft-model.ts';
import { attach } from '../../tuners/registry.ts';
import { baseStorage } from '../../weights/base-storage.ts';
import { loadWeights } from '../../weights/load-weights.ts';
import { evaluate, measuredExamples, retrievesPairs } from '../evaluation.ts';
import { implementationHere } from '../machine/implementation.ts';
import { meetRequirements } from '../machine/requirements.ts';
import { effectivePrecision } from '../precision.ts';
import type { TrainOptions } from '../records.ts';
import { setUpTraining, type TrainingSetup } from '../setup.ts';
import { startValues } from '../start-values.ts';
import { buildEvaluationProgram } from '../train-program.ts';

/** Losses in nats per labelled token, on the examples that the live model was measured on. */
export interface AdapterVerification {
  /** Of the adapter's files on the base model. */
  reloadedLoss: number;
  /** Of the base model. For a task with a head that the base lacks: of the adapter before its first step. */
  baseLoss: number;
  /** Whether the files' weights differ from those before the first step. Where the losses differ, they do. */
  moved: boolean;
}

export type VerificationOptions = Pick<
  TrainOptions,
  'base' | 'trainingFile' | 'validationFile' | 'peft' | 'training' | 'requirements' | 'initialAdapter'
> & { adapterDir: string };

/**
 * Measures a finished adapter from its files, loaded as anybody who downloads them loads them, and the base model without it.
 * The caller compares: the first must equal the loss in `done.verification` of `train`, the second must not. Throws what
 * `readAdapter` throws, and `adapter_mismatch`.
 */
export async function verifyAdapter(options: VerificationOptions): Promise<AdapterVerification> {
  const { base, peft, training } = options;
  meetRequirements(options.requirements, effectivePrecision(training.precision));
  const setup = await setUpTraining(options);
  const { examples } = measuredExamples(setup.data, true)!;
  const { config, tensors } = await readAdapter(options.adapterDir);
  let hasMoved = () => Promise.resolve(true);
  const reloadedLoss = await measure(options, setup, examples, {
    peft: config,
    form: 'folded',
    values: (model) => {
      const values = adapterValues(model, tensors);
      hasMoved = async () => {
        // The files hold what an encoder made of its start values, and no such method starts as the base model.
        if (attach(peft, setup.architecture, 'trained').derive) return true;
        const start = await startValues(model, base, { ...options, seed: training.seed });
        return values.some((value, i) => value !== start[i]);
      };
      return values;
    },
  });
  const untrained =
    setup.architecture.taskHead.length > 0
      ? {
          peft,
          form: 'trained' as const,
          values: (model: PeftModel) => startValues(model, base, { seed: training.seed }),
        }
      : { peft: null, form: 'folded' as const, values: null };
  const baseLoss = await measure(options, setup, examples, untrained);
  return { reloadedLoss, baseLoss, moved: reloadedLoss !== baseLoss || (await hasMoved()) };
}

/** Mean loss of one model. Its program is closed before this returns, so that two base models are never loaded at once. */
async function measure(
  { base, training }: VerificationOptions,
  { architecture, objective, layout }: TrainingSetup,
  examples: TrainingExample[],
  adapter: {
    peft: VerificationOptions['peft'] | null;
    form: 'trained' | 'folded';
    values: ((model: PeftModel) => Float32Array | Promise<Float32Array>) | null;
  },
): Promise<number> {
  const precision = effectivePrecision(training.precision);
  const storage = baseStorage(training.base_dtype, precision);
  const { peft, form } = adapter;
  // The plain base model has no soft prompt.
  const own = peft ? layout : { ...layout, virtualTokens: 0, firstPosition: 0 };
  const plan = planMeasuring(examples, training, own);
  const built = buildEvaluationProgram({
    architecture,
    objective,
    peft,
    form,
    storage,
    precision,
    implementation: implementationHere(),
    grid: plan.shape,
    retrieves: retrievesPairs(training),
  });
  try {
    await loadWeights(built.program, base, architecture, storage, { stacks: built.model.stacks });
    if (adapter.values) await built.program.write([['adapter', await adapter.values(built.model)]]);
    return evaluate(built, plan, examples, own).loss;
  } finally {
    built.program.close();
  }
}
