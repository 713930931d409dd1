import { writeAdapter } from '../files.ts';
import { adapterTensorsToSave } from '../peft-model/adapter-values.ts';
import { evaluate } from './evaluation.ts';
import type { TrainingRun } from './open-run.ts';
import type { RecordOf } from './records.ts';

/** Measures the trained model, if it has not just been, and writes the adapter's files. */
export async function finishRun(run: TrainingRun): Promise<RecordOf<'done'>> {
  const { options, setup, measuring, built, trainedTokens, finalLoss } = run;
  if (measuring) run.measurement ??= evaluate(built, measuring.plan, measuring.examples, setup.layout);
  const { measurement } = run;
  const validation = measuring?.measuredOn === 'validation' ? measurement : null;
  const validationLoss = validation?.loss ?? null;
  const steps = run.plan.steps;
  const { files } = await writeAdapter(options.outputDir, {
    peft: built.model.attachment?.written ?? options.peft,
    baseModelNameOrPath: options.baseModelName,
    tensors: await adapterTensorsToSave(built, options.base),
    baseConfig: setup.config,
    baseDigest: run.baseDigest,
    labels: setup.data.labels,
    card: { steps, trainedTokens, finalLoss, validationLoss },
  });
  return {
    type: 'done',
    adapterDir: options.outputDir,
    ...{ steps, trainedTokens, finalLoss, validationLoss },
    metrics: validation?.metrics ?? {},
    verification:
      options.verify && measuring && measurement
        ? { loss: measurement.loss, examples: measuring.examples.length, measuredOn: measuring.measuredOn }
        : null,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    files,
  };
}
