import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, lossFault, table } from './report.ts';
import { byLength } from './sides.ts';

const side = (name: string, pass: number, perToken: number[], tokens: number[]) => {
  const [reference, ...steps] = [pass, ...perToken.map((each, i) => each * tokens[i]!)].map((seconds, i) => ({
    seconds,
    cpu: 2 * seconds,
    loss: i === 0 ? 0 : 0.7,
    resident: 1e9,
    peak: (i + 1) * 1e9,
  }));
  return { name, tokens, steps, reference: reference! };
};
const graft = side('graft', 100, [9, 9, 1, 1, 1], [10, 10, 10, 20, 10]);
const trl = side('trl', 0, [50, 50, 6, 7, 8], [10, 10, 10, 20, 10]);
const expert = side('expert', 200, [40, 40, 3, 3, 3], [10, 10, 20, 10, 10]);
const measured = compare('short', 'fp32', [graft, trl, expert]);

test('speeds are by time per token, and leave out the first steps and the reference pass', () => {
  const speeds = measured.sides.map(({ speedup }) => speedup.median.toFixed(6));
  assert.deepEqual(speeds, ['1.000000', '7.000000', '3.000000']);
  assert.deepEqual(measured.sides[1]!.speedup, { lower: 6.5, median: 7, upper: 7.5 });
});

test('the reference pass is spread over the tokens of all steps', () => {
  // With 60 tokens, Graft's pass is 100 / 60 a token, and that of the expert 200 / 60.
  const [, padded, sorted] = measured.sides;
  assert.ok(Math.abs(padded!.withReference.median - 7 / (1 + 100 / 60)) < 1e-9);
  assert.ok(Math.abs(sorted!.withReference.median - (3 + 200 / 60) / (1 + 100 / 60)) < 1e-9);
  assert.ok(Math.abs(padded!.cpu.median - padded!.withReference.median) < 1e-9);
});

test('memory is the peak at the end, and the table has a row for each rival', () => {
  assert.equal(measured.sides[0]!.peakBytes, 6e9);
  const rows = table([measured]).trim().split('\n').slice(2);
  assert.equal(rows.length, 2);
  assert.match(rows[0]!, /\| trl .*\| 7\.00× .*\| in each step /);
  assert.match(rows[1]!, /\| expert .*\| 3\.00× .*\| 200\.0 /);
});

test('losses of the first step that differ in fp32 are a fault', () => {
  assert.equal(lossFault(measured), null);
  const steps = trl.steps.map((step) => ({ ...step, loss: 0.72 }));
  const off = [graft, { ...trl, steps }];
  assert.match(
    lossFault(compare('short', 'fp32', off))!,
    /^short: the first loss is 0.7 with graft and 0.72 with trl$/,
  );
  assert.equal(lossFault(compare('short', 'bf16', off)), null);
});

test('the expert has all pairs once, the first batch as it was, and like lengths in each other batch', () => {
  const pair = (length: number) => ({
    prompt_ids: [1],
    chosen_ids: Array.from({ length }, () => 2),
    rejected_ids: [3],
  });
  const pairs = [5, 1, 9, 2, 8, 3, 7, 4].map(pair);
  const lengths = byLength(pairs, 2).map(({ chosen_ids }) => chosen_ids.length);
  assert.deepEqual(lengths.slice(0, 2), [5, 1]);
  assert.deepEqual(lengths.slice(2), [9, 8, 3, 2, 7, 4]);
});
