/** The local verbs of the `graft` command against transformers and PEFT, as a user runs them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { writeExamples } from './fixtures/example-data.ts';
import { largestDifference } from './fixtures/graft-outputs.ts';
import { scoreInPython } from './fixtures/score-in-python.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = scratchFolder('command');
const fixture = await tinyFixture();
const model = fixture.modelFolder('tied');
const base = await openBaseModel(model);
const tokenizer = loadTokenizer(base.tokenizerFiles);
await base.close();

async function graft(...args: string[]): Promise<string> {
  const command = [join(root, 'apps/cli/bin/graft.mjs'), ...args];
  return (await promisify(execFile)(process.execPath, command, { cwd: folder })).stdout;
}

type Line = { input_ids: number[]; logprobs: number[] };

async function score(adapter: string, inputs: object[]): Promise<Line[]> {
  const [input, output] = [join(folder, 'input.jsonl'), join(folder, 'output.jsonl')];
  await writeFile(input, inputs.map((line) => `${JSON.stringify(line)}\n`).join(''));
  await graft('score', '--model', model, '--adapter', adapter, '--input', input, '--output', output);
  const lines = (await readFile(output, 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Line);
}

test('graft score writes what PEFT computes, for ids and for text', async () => {
  const reference = fixture.scores.find((one) => one.adapter === 'plain');
  assert.ok(reference);
  const ids = reference.inputs.map(({ input_ids }) => ({ input_ids }));
  const text = 'The gardener grafts a branch.';
  const lines = await score(fixture.adapterFolder('plain'), [...ids, { text }]);
  assert.deepEqual(
    lines.slice(0, -1).map((line) => line.input_ids),
    ids.map((line) => line.input_ids),
  );
  const expected = reference.inputs.map((input) => input.logprobs);
  const difference = largestDifference(
    expected,
    lines.slice(0, -1).map((line) => line.logprobs),
  );
  assert.ok(difference < 1e-4, `log-probabilities differ by ${difference}`);
  const last = lines.at(-1)!;
  assert.equal(tokenizer.decode(last.input_ids, { skipSpecialTokens: true }), text);
  assert.equal(last.logprobs.length, last.input_ids.length - 1);
});

test('graft train makes an adapter that PEFT loads; graft generate and transformers continue alike', async () => {
  const data = join(folder, 'train.jsonl');
  const adapter = join(folder, 'adapter');
  await writeExamples(data, 'text', 24);
  const training = JSON.stringify({ precision: 'fp32', learning_rate: 0.02 });
  const options = ['--data', data, '--max-steps', '12', '--training', training];
  await graft('train', '--model', model, '--output', adapter, ...options);

  const prompt = 'How many red apples grow on tree';
  const ids = [...tokenizer.encode(prompt, { addSpecialTokens: true })];
  const [inPeft] = await scoreInPython([{ model, adapter, inputs: [ids] }]);
  assert.ok(inPeft);
  assert.deepEqual(inPeft.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
  const [line] = await score(adapter, [{ input_ids: ids }]);
  assert.ok(line);
  const difference = largestDifference(inPeft.logprobs, [line.logprobs]);
  assert.ok(difference < 1e-4, `log-probabilities differ by ${difference}`);

  const generate = ['generate', '--model', model, '--adapter', adapter, '--prompt', prompt];
  const { text } = JSON.parse(await graft(...generate, '--max-tokens', '8', '--json'));
  assert.equal(text, tokenizer.decode(inPeft.greedy, { skipSpecialTokens: true }));
});
