import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { type Ran, runGraft, temporaryFolder } from '../testing/run-graft.ts';

let folder = '';
const train = (output: string, ...more: string[]): Promise<Ran> =>
  runGraft(['train', '--model', 'model', '--data', 'train.jsonl', '--output', output, ...more], {
    cwd: folder,
  });
const training = ['--training', '{"validation_split":0.25}', '--epochs', '3'];

before(async (t) => {
  folder = temporaryFolder(t as never);
  await writeTinyModel(join(folder, 'model'));
  // Each example has a different prompt, because examples with the same prompt are on one side of a split.
  const example = (i: number) => JSON.stringify({ prompt: `${i}+1=`, completion: `${i + 1}` });
  await writeFile(join(folder, 'train.jsonl'), Array.from({ length: 32 }, (_, i) => example(i)).join('\n'));
  await writeFile(join(folder, 'texts.jsonl'), '{"text":"a text"}');
});

test('a sweep writes the adapter that the best of its trials has alone', async () => {
  const swept = await train('best', ...training, '--sweep', '{"learning_rate":[0.00001,0.02]}');
  assert.equal(swept.code, 0, swept.stderr);
  assert.match(
    swept.stderr,
    /^Trial 1 \(LORA, r 16, learning rate 0\.00001\): validation loss \d.* at step 9$/m,
  );
  assert.match(swept.stderr, /^Trial 2 \(LORA, r 16, learning rate 0\.02\) is the best$/m);
  assert.doesNotMatch(swept.stderr, /^Chosen: learning_rate/m);
  assert.match(
    swept.stdout,
    /^adapter +best \(adapter_config\.json, adapter_model\.safetensors, README\.md\)$/m,
  );
  assert.equal(existsSync(join(folder, 'best.checkpoints')), false);
  const alone = await train('alone', ...training, '--learning-rate', '0.02');
  assert.equal(alone.code, 0, alone.stderr);
  const weights = (adapter: string) => readFile(join(folder, adapter, 'adapter_model.safetensors'));
  assert.deepEqual(await weights('best'), await weights('alone'));
});

test('options that cannot be are refused before TensorFlow is loaded', async () => {
  const cases: [string[], RegExp][] = [
    [['--sweep', '{"r":[4,8]}'], /sweep: needs validation data/],
    [[...training, '--sweep', '{"rank":[4,8]}'], /sweep\.rank: is not known; a sweep tries learning_rate, r/],
    [
      ['--peft', '{"peft_type":"LORA","rank":2}', '--training', '{"epochs":1}', '--sweep', '{"rank":[4,8]}'],
      /peft\.rank is .*\n.*training\.epochs is .*\n.*sweep\.rank is /,
    ],
    [[...training, '--sweep', '{"r":[4]}'], /makes one trial/],
    [
      ['--data', 'texts.jsonl'],
      /training_files\[1\] \(texts\.jsonl\) has text examples, and .*; all files of a job have one format/,
    ],
    [[...training, '--validation', 'train.jsonl'], /validation_split and validation_file exclude each other/],
    [
      [...training, '--sweep', '{"r":[4,4000]}'],
      /sweep\.r: trial 2 \(LORA, r 4000\): rank 4000 is larger than /,
    ],
    [[...training, '--sweep', '{"r":[4,8]}', '--peft', '{"peft_type":"LORA","r":2}'], /sweep\.r: lacks 2/],
    [[...training, '--sweep', '[1]'], /--sweep/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await train('never', ...args);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /Loading/);
  }
});
