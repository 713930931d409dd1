import { readSentencePrompts, type SentencePrompts, trainedPrompts } from '../base-model/sentence-prompts.ts';
import { isQuantised } from '../config/index.ts';
import { type WrittenFile, writeAdapter } from '../files.ts';
import { objectiveFor } from '../objectives/objectives.ts';
import { adapterTensorsToSave } from '../peft-model/adapter-values.ts';
import { evaluate, type Measurement } from './evaluation.ts';
import { peakMemory } from './machine/peak-memory.ts';
import type { TrainingRun } from './open-run.ts';
import type { BestEvaluation, RecordOf } from './records.ts';
import { needsReference } from './reference.ts';
import { holdAverage } from './update/average.ts';

/** Measures the model to publish, unless the last measurement is of it, and writes the adapter's files. */
export async function finishRun(run: TrainingRun): Promise<RecordOf<'done'>> {
  const { options, setup, measuring, built, trainedTokens, finalLoss } = run;
  const publishedStep = publishedStepOf(run);
  if (publishedStep !== run.step) {
    await built.program.write([['adapter', run.bestAdapter!]]);
    run.measurement = null;
  } else if (options.training.ema_decay !== undefined) await holdAverage(run);
  if (measuring) run.measurement ??= evaluate(built, measuring.plan, measuring, setup.layout);
  const { measurement } = run;
  const verified = options.verify && measuring && measurement ? verifiedLoss(run, measurement) : null;
  const validation = validationOf(run);
  const files = await writeFiles(run, options.outputDir, publishedStep);
  return {
    type: 'done',
    adapterDir: options.outputDir,
    steps: run.step,
    publishedStep,
    totalSteps: run.plan.steps,
    trainedTokens,
    finalLoss,
    validationLoss: validation?.loss ?? null,
    best: bestOf(run),
    evaluationsWithoutGain: run.best.evaluationsWithoutGain,
    metrics: validation?.metrics ?? {},
    verification:
      verified !== null && measuring
        ? { loss: verified, examples: measuring.examples.length, measuredOn: measuring.measuredOn }
        : null,
    peakMemoryBytes: peakMemory(),
    files,
  };
}

/** The loss that `verifyAdapter` has to find. It has no reference to compare with. */
function verifiedLoss(run: TrainingRun, measurement: Measurement): number {
  const { built, setup, measuring } = run;
  if (!needsReference(run)) return measurement.loss;
  const examples = measuring!.examples.map(({ reference: _, ...example }) => example);
  return evaluate(built, measuring!.plan, { ...measuring!, examples }, setup.layout).loss;
}

/** The step whose adapter the run would publish if it ended now. */
export function publishedStepOf({ options, best, step }: TrainingRun): number {
  return (options.training.load_best_model_at_end && best.best?.step) || step;
}

export function bestOf({ best }: TrainingRun): BestEvaluation | null {
  return best.best && { metric: best.metric, ...best.best };
}

/** The last evaluation on validation examples. */
export function validationOf({ measuring, measurement }: TrainingRun): Measurement | null {
  return measuring?.measuredOn === 'validation' ? measurement : null;
}

const finite = (loss: number | undefined) => (Number.isFinite(loss) ? loss! : null);

/** The prompts by which texts are embedded with the adapter; null: none, or the adapter is of another task. */
async function promptsOf({ options, setup }: TrainingRun): Promise<SentencePrompts | null> {
  const { promptColumns } = objectiveFor(options.peft.task_type, setup.data.format, options.method);
  if (!promptColumns) return null;
  const base = await readSentencePrompts(options.base.path);
  return trainedPrompts(base, options.training.prompts, promptColumns);
}

/** Writes the files of the adapter that the program holds, which is that of `step`. */
export async function writeFiles(run: TrainingRun, folder: string, step: number): Promise<WrittenFile[]> {
  const { options, setup, built, log, baseDigest } = run;
  const { tokens, loss } = log.series.train;
  const { files } = await writeAdapter(folder, {
    peft: built.model.attachment?.written ?? options.peft,
    baseModelNameOrPath: options.baseModelName,
    tensors: await adapterTensorsToSave(built, options.base),
    baseConfig: setup.config,
    baseDigest,
    labels: setup.data.labels,
    chatTemplate: options.training.chat_template ?? null,
    sentencePrompts: await promptsOf(run),
    card: {
      steps: step,
      trainedTokens: tokens[step - 1]!,
      finalLoss: loss[step - 1]!,
      validationLoss: validationOf(run)?.loss ?? null,
      quantised: isQuantised(options.training.base_dtype)
        ? {
            base_dtype: options.training.base_dtype,
            quantised_validation_loss: finite(validationOf(run)?.loss),
            validation_loss: null,
          }
        : null,
      trials: options.trials ?? null,
      templateKwargs: options.training.chat_template_kwargs ?? null,
      ...(setup.layout.classes ? { severalLabels: true } : {}),
    },
  });
  return files;
}
