import { join } from 'node:path';
import { train } from '@graft/peft-core';
import { parsePeftConfig, type ResolvedTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { type TrainingPlan, trainingPlan } from '../../scripts/golden/training-plan.ts';

/** One training that both sides do from the same initial values, on the same batches. */
export type TrainingCase = {
  name: string;
  /** A HF folder or GGUF file. */
  model: string;
  trainingFile: string;
  /** Fields that LoraConfig of PEFT and Graft's `peft` share; task_type CAUSAL_LM by default. */
  config: Record<string, unknown>;
  /** Graft's `training`; max_steps included. */
  training: Record<string, unknown>;
};

export type StepRecord = { loss: number; learning_rate: number; grad_norm: number; token_accuracy: number };

export type TrainingComparison = {
  name: string;
  model: string;
  graft: { steps: StepRecord[]; adapter: string };
  peft: { steps: StepRecord[]; adapter: string };
};

/** Does every case with Graft and with PyTorch + HF PEFT; `folder` receives the adapters of both. */
export async function compareTrainings(cases: TrainingCase[], folder: string): Promise<TrainingComparison[]> {
  const initial = (one: TrainingCase) => join(folder, `${one.name}-initial`);
  await runPythonJson('new_adapter.py', [], {
    runs: cases.map((one, i) => ({
      model: one.model,
      output: initial(one),
      seed: 20 + i,
      config: one.config,
    })),
  });

  const plans: TrainingPlan[] = [];
  for (const one of cases) plans.push(await trainingPlan({ ...one, peft: peftConfigOf(one) }));
  const references = await runPythonJson<StepRecord[]>('train.py', [], {
    runs: cases.map((one, i) => ({
      model: one.model,
      task: peftConfigOf(one).task_type,
      adapter: initial(one),
      output: join(folder, `${one.name}-peft`),
      options: plans[i]!.training,
      steps: plans[i]!.steps,
    })),
  });

  const comparisons: TrainingComparison[] = [];
  for (const [i, one] of cases.entries()) {
    const adapter = join(folder, `${one.name}-graft`);
    const steps = await trainWithGraft(one, plans[i]!.training, initial(one), adapter);
    comparisons.push({
      name: one.name,
      model: one.model,
      graft: { steps, adapter },
      peft: { steps: references[i]!, adapter: join(folder, `${one.name}-peft`) },
    });
  }
  return comparisons;
}

async function trainWithGraft(
  one: TrainingCase,
  training: ResolvedTraining,
  initialAdapter: string,
  outputDir: string,
): Promise<StepRecord[]> {
  const base = await openBaseModel(one.model);
  const steps: StepRecord[] = [];
  try {
    const records = train({
      base,
      baseModelName: one.model,
      trainingFile: one.trainingFile,
      peft: peftConfigOf(one),
      training,
      outputDir,
      initialAdapter,
    });
    for await (const record of records) {
      if (record.type !== 'step') continue;
      steps.push({
        loss: record.loss,
        learning_rate: record.learningRate,
        grad_norm: record.gradNorm,
        token_accuracy: record.tokenAccuracy!,
      });
    }
  } finally {
    await base.close();
  }
  return steps;
}

function peftConfigOf(one: TrainingCase) {
  return parsePeftConfig({ peft_type: 'LORA', ...one.config });
}
