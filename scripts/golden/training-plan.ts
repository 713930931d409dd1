import { readFile } from 'node:fs/promises';
import { type PeftConfig, type ResolvedTraining, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/models';
import { loadTokenizer, parseJsonl, planBatches, tokenizeExamples } from '@graft/peft-core/text';

/** Examples of one micro-batch, as train.py and hf_peft.py read them; labelled has a 1 where a token is a target. */
export type PlannedMicroBatch = { ids: number[]; labelled: number[] }[];

export type TrainingPlan = { training: ResolvedTraining; steps: PlannedMicroBatch[][] };

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
  const base = await openBaseModel(options.model);
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  await base.close();
  const { examples } = parseJsonl(await readFile(options.trainingFile));
  const training = resolveTraining({
    peft: options.peft,
    training: options.training,
    exampleCount: examples.length,
  });
  const tokenized = tokenizeExamples(tokenizer, examples, { maxSeqLength: training.max_seq_length });
  const plan = planBatches({
    lengths: tokenized.map((example) => example.ids.length),
    labelCounts: tokenized.map((example) => example.labelled.reduce((sum, flag) => sum + flag, 0)),
    batchSize: training.batch_size,
    accumulation: training.gradient_accumulation_steps,
    epochs: training.n_epochs,
    seed: training.seed,
    packing: training.packing,
    maxSteps: training.max_steps,
  });
  const steps: PlannedMicroBatch[][] = [];
  for (let step = 0; step < plan.steps; step++) {
    const micros: PlannedMicroBatch[] = [];
    for (let i = 0; i < training.gradient_accumulation_steps; i++) {
      const micro = plan.micro(step, i).map(({ example }) => ({
        ids: [...tokenized[example]!.ids],
        labelled: [...tokenized[example]!.labelled],
      }));
      if (micro.length > 0) micros.push(micro);
    }
    steps.push(micros);
  }
  return { training, steps };
}
