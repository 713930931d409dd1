import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  automaticTrial,
  faultsOf,
  grid,
  nextTrial,
  type Result,
  ratioOf,
  type Trial,
  tableOf,
  untried,
  type Verdict,
} from './usual.ts';

const row = grid.find(({ task, apart }) => task === 'messages' && apart === 2)!;
const measured = (trial: Trial, loss: number | null): Result => ({
  ...trial,
  data: '',
  steps: 40,
  loss,
  losses: [loss],
  seconds: 1,
});

/** The rates that a row tries when the loss is so much at each. */
async function tried(lossAt: (times: number) => number | null): Promise<number[]> {
  const results: Result[] = [];
  const { learning_rate: automatic } = await automaticTrial(row);
  for (;;) {
    const trial = await nextTrial(row, results);
    if (!trial) return results.map(({ learning_rate }) => learning_rate / automatic);
    assert.ok(results.length < 12, 'it does not end');
    results.push(measured(trial, lossAt(trial.learning_rate / automatic)));
  }
}

const near = (found: number[], wanted: number[]) => {
  assert.equal(found.length, wanted.length, String(found));
  for (const [i, times] of wanted.entries()) assert.ok(Math.abs(found[i]! / times - 1) < 0.1, String(found));
};

test('the automatic rate comes first, then rates around the best until it lies between worse ones', async () => {
  near(await tried((times) => Math.abs(Math.log(times))), [1, 1 / 2, 2]);
  near(await tried((times) => Math.abs(Math.log(times / 4))), [1, 1 / 2, 2, 4, 8]);
  near(await tried((times) => Math.abs(Math.log(times * 2))), [1, 1 / 2, 1 / 4]);
});

test('a rate at which training diverges is the worst', async () => {
  near(await tried((times) => (times > 1.5 ? null : 1 / times)), [1, 1 / 2, 2]);
});

test('what was measured is not tried again, and other values of a row are other trials', async () => {
  const first = await automaticTrial(row);
  const other = { ...row, training: { batch_size: 4 } };
  assert.deepEqual(await nextTrial(other, [measured(first, 1)]), { ...first, batch_size: 4 });
  const plain = { ...row, apart: null };
  assert.equal(await nextTrial(plain, [measured(first, 1)]), null);
});

test('verdicts: a bounded number of tasks may be a bounded distance from the best, and an untried one is too far', async () => {
  const automatic = await automaticTrial(row);
  const verdict = (task: string, method: string, loss: number | null, use: Verdict['use'] = 'held out') => {
    return { task, method, use, automatic, loss, best: measured(automatic, 1) };
  };
  const { method } = row;
  const good = [verdict('a', method, 1.05), verdict('b', method, 1), verdict('b', 'other', 1.15)];
  assert.deepEqual(faultsOf(good), []);
  assert.deepEqual(faultsOf([...good, verdict('c', method, 1.2)]), []);
  const bad = [...good, verdict('c', method, 1.2), verdict('d', method, null), verdict('c', 'other', 1.2)];
  assert.deepEqual(faultsOf(bad), [
    `${method}: c 1.20, d not tried; the limit is 1.05 of the best loss`,
    'other: c 1.20; the limit is 1.15 of the best loss',
  ]);
  assert.deepEqual(faultsOf([...good, verdict('e', 'other', 9, 'rule')]), []);
  assert.equal(ratioOf(good[0]!), 1.05);
  assert.match(tableOf(bad), /\| c \| held out \| other \| .* \| 1\.20 ✗ \|/);
});

test('pairs of task and method of which nothing was measured are named', async () => {
  const all = untried([]);
  assert.ok(all.includes('messages/lora') && all.length > 20);
  const rest = untried([measured(await automaticTrial(row), 1)]);
  assert.deepEqual(
    rest,
    all.filter((pair) => pair !== 'messages/lora'),
  );
});
