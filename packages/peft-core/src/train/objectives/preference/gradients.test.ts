// Gradients of every loss on preferences, through a head that is frozen and one that is trained, against finite differences.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '../../../files.ts';
import { preferenceMethods } from '../../../lists.ts';
import { checkTraining } from '../../../testing/check-training.ts';
import { writeTinyModel } from '../../../testing/tiny-model.ts';
import { trainOptions } from '../../../testing/train-adapter.ts';
import { setUpTraining } from '../../setup.ts';

let folder: string;
const bases = new Map<boolean, BaseModel>();
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-preference-gradients-'));
  for (const tied of [false, true]) {
    const to = path.join(folder, `tied-${tied}`);
    await writeTinyModel(to, { tie_word_embeddings: tied });
    bases.set(tied, await openBaseModel(to));
  }
});
after(async () => {
  for (const base of bases.values()) await base.close();
  await rm(folder, { recursive: true });
});

/** Two have the same prompt, whose beginning is computed once. */
const pairs = [
  { prompt: 'Which is it? ', chosen: 'the first', rejected: 'no' },
  { prompt: 'Which is it? ', chosen: 'this', rejected: 'the other one' },
  { prompt: 'How many? ', chosen: 'three', rejected: 'three or four' },
];
const judged = [
  { prompt: 'Which is it? ', completion: 'the first', label: true },
  { prompt: 'How many? ', completion: 'three or four', label: false },
  { prompt: 'Why? ', completion: 'so', label: true },
];

const losses: [string, Record<string, unknown>][] = [
  ['dpo', { loss_type: 'sigmoid' }],
  ['dpo', { loss_type: 'hinge' }],
  ['dpo', { loss_type: 'ipo' }],
  ['dpo', { loss_type: 'robust', label_smoothing: 0.1 }],
  ['dpo', { loss_type: 'sigmoid_norm', beta: 2 }],
  ['dpo', { loss_type: ['sigmoid', 'sft'], loss_weights: [1, 0.3] }],
  ['orpo', { beta: 1 }],
  ['simpo', { cpo_alpha: 0 }],
  ['simpo', { cpo_alpha: 0.5 }],
  ['kto', { desirable_weight: 1.5 }],
];
for (const method of preferenceMethods)
  if (!losses.some(([tried]) => tried === method)) losses.push([method, {}]);
/** Tokens of "e" and "o" are those of the head with trained rows. */
const heads = {
  frozen: {},
  trained: { modules_to_save: ['lm_head'] },
  'with trained rows': { trainable_token_indices: [101, 111] },
};

for (const [method, preference] of losses)
  for (const [head, more] of Object.entries(heads))
    test(`${method} ${JSON.stringify(preference)}, head ${head}: gradients agree with finite differences`, async () => {
      const base = bases.get(head === 'with trained rows')!;
      const lines = method === 'kto' ? judged : pairs;
      const trainingFile = path.join(folder, `${method}.jsonl`);
      await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
      const options = trainOptions({
        base,
        trainingFile,
        exampleCount: lines.length,
        format: method === 'kto' ? 'unpaired_preference' : 'preference',
        method,
        peft: { peft_type: 'LORA', r: 2, target_modules: 'all-linear', init_lora_weights: false, ...more },
        training: { precision: 'fp32', batch_size: 3, learning_rate: 1e-2, seed: 5, preference },
        outputDir: path.join(folder, 'out'),
      });
      const { data } = await setUpTraining(options);
      // Near log-probabilities of a model of 260 tokens, so that no sigmoid is flat. Those of the completions that estimate kto's
      // divergence are above them: it is then 0 wherever the loss is evaluated, as the gradient takes it for a constant.
      for (const example of data.training) {
        const [chosen, rejected] = example.sequences.map(
          ({ targets }) => -5.5 * targets!.filter((target) => target >= 0).length,
        );
        example.reference = [chosen!, method === 'kto' ? 0 : rejected!];
      }
      const { gradientError, moved, still } = await checkTraining({ ...options, data });
      assert.ok(gradientError < 0.01, `${gradientError}`);
      assert.deepEqual({ moved, still }, { moved: [], still: [] });
    });
