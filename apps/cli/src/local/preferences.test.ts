// Preferences on this machine: train, score and check, and what is refused.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { type Ran, runGraft, temporaryFolder } from '../testing/run-graft.ts';

let folder = '';
const graft = (...args: string[]): Promise<Ran> => runGraft(args, { cwd: folder });
const write = async (name: string, all: object[]) =>
  await writeFile(join(folder, name), all.map((line) => JSON.stringify(line)).join('\n'));

before(async (t) => {
  folder = temporaryFolder(t as never);
  await writeTinyModel(join(folder, 'model'));
  const pairs = Array.from({ length: 8 }, (_, i) => ({
    prompt: `Q${i}?`,
    chosen: ' the first',
    rejected: ` none ${i}`,
  }));
  await write('pairs.jsonl', pairs);
  await write('texts.jsonl', [{ text: 'one' }, { text: 'two' }]);
});

const train = (data: string, ...more: string[]) =>
  graft('train', '--model', 'model', '--data', data, '--output', 'adapter', '--overwrite', ...more);

test('an adapter that is trained with dpo makes chosen completions more probable than before', async () => {
  const flags = ['--method', 'dpo', '--beta', '0.2', '--epochs', '12', '--learning-rate', '0.01'];
  const trained = await train('pairs.jsonl', ...flags);
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stderr, /Computed the reference of 8 examples/);
  const score = async (...more: string[]) => {
    const scored = await graft(
      'score',
      '--model',
      'model',
      '--input',
      'pairs.jsonl',
      '--output',
      '-',
      ...more,
    );
    assert.equal(scored.code, 0, scored.stderr);
    assert.match(scored.stderr, /Scored 8 pairs, \d with a more probable chosen completion: -/);
    return scored.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  const before = await score();
  assert.deepEqual(
    before.map(({ line }) => line),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  // A token for each byte, and the end of the sequence.
  assert.equal(before[0].chosen.logprobs.length, ' the first'.length + 1);
  assert.equal(before[0].rejected.logprobs.length, ' none 0'.length + 1);
  const sum = before[0].chosen.logprobs.reduce((total: number, each: number) => total + each, 0);
  assert.ok(Math.abs(sum - before[0].chosen.logprob) < 1e-6);
  const margin = (scores: typeof before) =>
    scores.reduce((total, { chosen, rejected }) => total + chosen.logprob - rejected.logprob, 0);
  const after = await score('--adapter', 'adapter');
  assert.ok(margin(after) > margin(before) + 1, `${margin(before)} → ${margin(after)}`);

  // The same as texts whose tokens are scored one after another.
  await write('whole.jsonl', [{ text: 'Q0? the first' }]);
  const whole = await graft('score', '--model', 'model', '--input', 'whole.jsonl', '--output', '-');
  const { logprobs } = JSON.parse(whole.stdout);
  const completionTokens = logprobs.slice('Q0?'.length - 1);
  for (const [t, each] of completionTokens.entries())
    assert.ok(Math.abs(each - before[0].chosen.logprobs[t]) < 1e-4, `token ${t}`);
});

test('what does not go together is refused in one sentence', async () => {
  const refused = async (message: RegExp, data: string, ...more: string[]) => {
    const ran = await train(data, ...more);
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, message);
  };
  await refused(
    /--method: "dpo" does not train on lines of the format text; use supervised/,
    'texts.jsonl',
    '--method',
    'dpo',
  );
  await refused(/--method: there is no method ppo, only supervised, dpo/, 'pairs.jsonl', '--method', 'ppo');
  await refused(
    /--beta is of methods that learn from preferences/,
    'texts.jsonl',
    '--method',
    'supervised',
    '--beta',
    '0.1',
  );
  await refused(/training\.preference: is of the methods dpo/, 'texts.jsonl', '--beta', '0.1');
  await refused(/training\.preference\.beta: must be .* above 0/, 'pairs.jsonl', '--beta', '0');
  await refused(
    /--beta and --training both set beta/,
    'pairs.jsonl',
    '--beta',
    '0.1',
    '--training',
    '{"preference":{"beta":0.2}}',
  );
});

test('a file to score has preferences in all lines, each with two different completions', async () => {
  const score = (input: string) =>
    graft('score', '--model', 'model', '--input', input, '--output', 'scores.jsonl');
  await write('mixed.jsonl', [{ prompt: 'a', chosen: 'b', rejected: 'c' }, { text: 'x' }]);
  const mixed = await score('mixed.jsonl');
  assert.notEqual(mixed.code, 0);
  assert.match(mixed.stderr, /line 2/);
  await write('same.jsonl', [{ prompt: 'a', chosen: 'b', rejected: 'b' }]);
  assert.match((await score('same.jsonl')).stderr, /"chosen" and "rejected" are the same/);
});
