import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig, resolveTraining } from '../config/index.ts';
import type { EstimatedJob, Machine } from './estimate.ts';
import { estimateSweep } from './estimate-sweep.ts';
import { estimateTraining } from './estimate-training.ts';

const modelConfig = {
  model_type: 'llama',
  vocab_size: 300,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
};
const machine: Machine = { device: 'cpu', precision: 'fp32', threads: 2, kernels: true, flops: 1e10 };
const sizes = Array.from({ length: 20 }, () => ({ widths: [16], inputWidth: 0, labels: 15, tokens: 16 }));

function trial(r: number, learning_rate: number): EstimatedJob {
  const peft = parsePeftConfig({ peft_type: 'LORA', r, target_modules: ['q_proj'] });
  const training = { n_epochs: 9, batch_size: 2, learning_rate };
  return {
    modelConfig,
    peft,
    training: resolveTraining({ peft, training, exampleCount: 20, hasValidationFile: true, trials: 4 }),
    data: {
      format: 'text',
      labels: null,
      training: { examples: 20, sizes },
      validation: { examples: 4, sizes: sizes.slice(0, 4) },
    },
  };
}

test('a sweep counts the steps of all its trials, and holds waiting trials in memory beside the largest', () => {
  const trials = [trial(4, 1e-3), trial(4, 1e-4), trial(8, 1e-3), trial(8, 1e-4)];
  const [small, large] = [estimateTraining(trials[0]!, machine), estimateTraining(trials[2]!, machine)];
  const sweep = estimateSweep(trials, machine);
  // With so few trials all train to the end.
  assert.deepEqual([large.steps, sweep.steps], [90, 4 * 90]);
  assert.equal(sweep.tokens, large.tokens * 4);
  assert.equal(sweep.trainableParameters, large.trainableParameters);
  assert.equal(sweep.seconds, 2 * (small.seconds! + large.seconds!));
  // Six trials, two of each configuration: two continue from half of the steps.
  assert.equal(estimateSweep([...trials, ...trials.slice(2)], machine).steps, 6 * 50 + 2 * 40);
  const beside = sweep.peakMemoryBytes - large.peakMemoryBytes;
  assert.ok(beside > 12 * small.trainableParameters && beside < small.peakMemoryBytes, String(beside));
  assert.equal(estimateSweep(trials, { ...machine, flops: null }).seconds, null);
});
