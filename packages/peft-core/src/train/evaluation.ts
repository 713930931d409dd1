import type { Program } from '@graft/tf-graph';
import { type BatchPlan, fillBatch, type TokenizedExample } from '../text/index.ts';
import type { TrainingData } from './data.ts';
import { feedsOf } from './feeds.ts';

/** Examples that are enough to tell two models apart. */
const PROOF_EXAMPLES = 32;

/** What a model is measured on. */
export interface Measured {
  examples: TokenizedExample[];
  measuredOn: 'validation' | 'training';
}

/** The validation examples; without any, and to prove an adapter, the first of the training file. */
export function measuredExamples(data: TrainingData, prove: boolean): Measured | null {
  if (data.validation.length > 0) return { examples: data.validation, measuredOn: 'validation' };
  return prove ? { examples: data.training.slice(0, PROOF_EXAMPLES), measuredOn: 'training' } : null;
}

/** Mean loss and token accuracy over all labelled validation tokens. */
export function evaluate(program: Program, plan: BatchPlan, examples: TokenizedExample[]) {
  let loss = 0;
  let correct = 0;
  let labels = 0;
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0);
    const out = program.run('evaluate', feedsOf(batch, 1));
    loss += out.loss!.data[0]!;
    correct += out.correct!.data[0]!;
    labels += batch.labelCount;
  }
  return { loss: loss / labels, tokenAccuracy: correct / labels };
}
