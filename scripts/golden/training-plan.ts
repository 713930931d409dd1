import { readFile } from 'node:fs/promises';
import { type PeftConfig, type ResolvedTraining, resolveTraining } from '@graft/peft-core/config';
import {
  miniBatchCount,
  NO_TARGET,
  parseJsonl,
  planTraining,
  readTrainingData,
  type TrainingData,
  type TrainingExample,
} from '@graft/peft-core/examples';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';

/**
 * An example as train.py and hf_peft.py read it. For language models `labelled` has a 1 where a token is a target; an
 * encoder-decoder has an input and its labels; for
 * classifiers there is the class of the whole, or of each token (-100 for none); for embeddings the texts that are compared,
 * with the cosine that is wanted if there is one. `weight` is that of the example in the loss, and `weights` those of its ids; absent: 1.
 */
export type PlannedExample = { weight?: number } & PlannedTargets;
type PlannedTargets =
  | { ids: number[]; labelled: number[]; weights?: number[] }
  | { input: number[]; labels: number[] }
  | { ids: number[]; label: number }
  | { ids: number[]; label_targets: number[] }
  | { ids: number[]; classes: number[] }
  | { sequences: number[][]; score: number | null };

/** Micro-batches of every optimizer step, and what they were built from. */
export interface TrainingPlan {
  training: ResolvedTraining;
  steps: PlannedExample[][][];
  data: TrainingData;
  /** The base model's config.json. */
  config: Record<string, unknown>;
}

/**
 * The examples of every micro-batch of every optimizer step, by Graft's own tokenizer and order, so that another
 * library can train on exactly what Graft trains on.
 */
export async function trainingPlan(options: {
  /** A HF folder or GGUF file; only its tokenizer is read. */
  model: string;
  trainingFile: string;
  peft: PeftConfig;
  /** Graft's `training` of a job. */
  training: Record<string, unknown>;
}): Promise<TrainingPlan> {
  const { peft, trainingFile } = options;
  const base = await openBaseModel(options.model);
  await base.close();
  const exampleCount = parseJsonl(await readFile(trainingFile)).examples.length;
  const training = resolveTraining({ peft, training: options.training, exampleCount });
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  const data = await readTrainingData({ trainingFile, tokenizer, modelConfig: base.config, peft, training });
  const plan = planTraining(data.training, training, { virtualTokens: 0 });
  const steps: PlannedExample[][][] = [];
  // Graft embeds a batch in mini-batches; the loss is that of the whole.
  const minis = miniBatchCount(training);
  for (let step = 0; step < plan.steps; step++) {
    const micros: PlannedExample[][] = [];
    for (let i = 0; i < training.gradient_accumulation_steps; i++) {
      const parts = Array.from({ length: minis }, (_, mini) => plan.micro(step, i * minis + mini));
      const micro = parts.flat().filter(({ part }) => part === 0);
      if (micro.length > 0)
        micros.push(
          micro.map(({ example }) => {
            const { weight } = data.training[example]!;
            const targets = plannedExample(data.training[example]!, peft.task_type, data.labels?.length ?? 0);
            return weight === undefined ? targets : { ...targets, weight };
          }),
        );
    }
    steps.push(micros);
  }
  return { training, steps, data, config: base.config };
}

/** An example as another library trains on it. */
export function plannedExample(
  example: TrainingExample,
  task: PeftConfig['task_type'],
  classes: number,
): PlannedTargets {
  const [{ ids, input, targets, weights }] = example.sequences as [TrainingExample['sequences'][0]];
  if (task === 'FEATURE_EXTRACTION')
    return { sequences: example.sequences.map((each) => [...each.ids]), score: example.score ?? null };
  const { labels } = example;
  if (labels) {
    const has = (label: number) => Number(labels.includes(label));
    return { ids: [...ids], label_targets: Array.from({ length: classes }, (_, label) => has(label)) };
  }
  if (!targets) return { ids: [...ids], label: example.label! };
  if (input) return { input: [...input], labels: [...targets] };
  if (task === 'TOKEN_CLS') return { ids: [...ids], classes: [...targets] };
  // The last token is only predicted.
  const whole = {
    ids: [...ids, targets.at(-1)!],
    labelled: [0, ...[...targets].map((target) => (target === NO_TARGET ? 0 : 1))],
  };
  return weights ? { ...whole, weights: [1, ...weights] } : whole;
}
