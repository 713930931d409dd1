/**
 * Tests a job that starts from a published soft prompt: the files do not contain its encoder, so the virtual tokens are trained
 * directly. HF PEFT refuses to load soft prompts for training.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel, readAdapter } from '../files.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../testing/train-adapter.ts';

const count = { num_virtual_tokens: 4 };
const prompts: Record<string, Record<string, unknown>> = {
  PROMPT_TUNING: { peft_type: 'PROMPT_TUNING', ...count },
  PREFIX_TUNING: { peft_type: 'PREFIX_TUNING', ...count },
  'PREFIX_TUNING, projected': { peft_type: 'PREFIX_TUNING', prefix_projection: true, ...count },
  'P_TUNING by an MLP': { peft_type: 'P_TUNING', encoder_hidden_size: 8, ...count },
  'P_TUNING by an LSTM': { peft_type: 'P_TUNING', encoder_reparameterization_type: 'LSTM', ...count },
};

let root: string;
let base: BaseModel;
const at = (name: string) => path.join(root, name);

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-go-on-'));
  await writeTinyModel(at('model'));
  base = await openBaseModel(at('model'));
  const line = (i: number) => JSON.stringify({ prompt: `${i}:`, completion: ` ${i % 2 ? 'odd' : 'even'}` });
  await writeFile(at('train.jsonl'), Array.from({ length: 16 }, (_, i) => line(i)).join('\n'));
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

for (const [name, peft] of Object.entries(prompts)) {
  test(`${name}: continues where the files left off, and learns`, async () => {
    const run = (part: string, learning_rate: number, max_steps: number) =>
      trainOptions({
        base,
        trainingFile: at('train.jsonl'),
        exampleCount: 16,
        peft,
        // One batch holds all examples, so that each step's loss is that of the values before it.
        training: { learning_rate, max_steps, n_epochs: max_steps, batch_size: 16, precision: 'fp32' },
        outputDir: at(`${name}-${part}`),
      });
    const first = await trainAdapter({ ...run('first', 0.02, 8), verify: true });
    const initialAdapter = at(`${name}-first`);
    const second = await trainAdapter({ ...run('second', 0.02, 8), initialAdapter });
    assert.ok(
      Math.abs(second.losses[0]! - first.done.verification!.loss) < 1e-5,
      `${second.losses[0]} after ${first.done.verification!.loss}`,
    );
    assert.ok(second.losses.at(-1)! < second.losses[0]!, second.losses.join(' '));

    const [before, after] = [await readAdapter(initialAdapter), await readAdapter(at(`${name}-second`))];
    assert.deepEqual(after.config, before.config);
    assert.deepEqual([...after.tensors.keys()], [...before.tensors.keys()]);
    const shapes = ({ tensors }: typeof before) => [...tensors.values()].map(({ shape }) => shape);
    assert.deepEqual(shapes(after), shapes(before));
  });
}

test('an adapter whose files hold an option without effect can be continued, as in HF PEFT', async () => {
  const peft = { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] };
  const run = (config: Record<string, unknown>, output: string) =>
    trainOptions({
      base,
      trainingFile: at('train.jsonl'),
      exampleCount: 16,
      peft: config,
      training: { max_steps: 1 },
      outputDir: at(output),
    });
  const idle = { ...peft, alpha_pattern: { nowhere: 4 } };
  await assert.rejects(trainAdapter(run(idle, 'asked')), { param: 'peft.alpha_pattern' });

  await trainAdapter(run(peft, 'lora'));
  const file = path.join(at('lora'), 'adapter_config.json');
  const config = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...config, alpha_pattern: idle.alpha_pattern }));
  const more = { ...run(peft, 'more'), peft: (await readAdapter(at('lora'))).config };
  assert.equal((await trainAdapter({ ...more, initialAdapter: at('lora') })).losses.length, 1);
});

test('a soft prompt of another length is refused by its shape', async () => {
  const options = trainOptions({
    base,
    trainingFile: at('train.jsonl'),
    exampleCount: 16,
    peft: { ...prompts.PROMPT_TUNING, num_virtual_tokens: 5 },
    training: { max_steps: 1 },
    outputDir: at('longer'),
  });
  await assert.rejects(trainAdapter({ ...options, initialAdapter: at('PROMPT_TUNING-first') }), {
    code: 'adapter_mismatch',
    message: /prompt_embeddings has shape \[4,32\], this base model needs \[5,32\]/,
  });
});
