import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dpo } from '../../packages/peft-core/src/objectives/dpo/objective.ts';
import { demonstrationOf, digestOfPairs, preferenceTasks } from './preference-tasks.ts';
import {
  automaticShare,
  faultOf,
  isSameTrial,
  optionFaults,
  optionsTable,
  type PreferenceResult,
  preferenceFaults,
  preferenceGrid,
  preferenceVerdicts,
  readPreferenceResults,
  type StartResult,
  sharesTable,
} from './preferences.ts';
import { measuresOf } from './run-preferences.ts';
import { wrongCall } from './tool-calls/pairs.ts';

const made = Object.entries(preferenceTasks).filter(([, { digest }]) => digest === undefined);

for (const [name, task] of made) {
  test(`${name}: no held-out pair is trained on, answers differ, and pairs are the same every time`, async () => {
    const pairs = await task.data();
    const { training, validation: heldOut } = pairs;
    const prompts = new Set(training.map(({ prompt }) => JSON.stringify(prompt)));
    assert.equal(prompts.size, training.length);
    assert.ok(heldOut.length >= 24);
    for (const { prompt, chosen, rejected } of [...training, ...heldOut])
      assert.notDeepEqual(chosen, rejected, JSON.stringify(prompt));
    assert.deepEqual(
      heldOut.filter(({ prompt }) => prompts.has(JSON.stringify(prompt))),
      [],
    );
    assert.equal(digestOfPairs(pairs), digestOfPairs(await task.data()));
  });
}

test('at least four tasks are tried, some of which set no rule', () => {
  const uses = Object.values(preferenceTasks).map(({ use }) => use);
  assert.ok(uses.filter((use) => use === 'rule').length >= 2);
  assert.ok(uses.filter((use) => use === 'held out').length >= 2);
});

test('no trial is in the grid twice, and each automatic share of dpo is tried on every task', () => {
  const { starts } = readPreferenceResults();
  for (const [at, trial] of preferenceGrid.entries())
    assert.equal(
      preferenceGrid.findIndex((each) => isSameTrial(each, trial)),
      at,
      JSON.stringify(trial),
    );
  for (const before of starts) {
    const { task, start } = before;
    const share = automaticShare('dpo', before);
    assert.ok(
      preferenceGrid.some((each) => each.task === task && each.start === start && each.share === share),
      `${task} ${start} ${share}`,
    );
  }
});

test('the share of a new adapter depends on the chosen answers that the base model gives already', () => {
  const base = (preferred: number, probability: number): StartResult =>
    ({ start: 'base', preferred, logp: Math.log(probability) }) as StartResult;
  const { fresh, known } = dpo.rateShares;
  const shares = [base(1, 0.7), base(0.8, 0.01), base(0.75, 0.7), base(1, 0.009)].map((before) =>
    automaticShare('dpo', before),
  );
  assert.deepEqual(shares, [known, known, fresh, fresh]);
  assert.equal(automaticShare('kto', base(1, 0.7)), fresh, 'kto is not decided');
});

test('a wrong call is of another function, or has one argument that is wrong', () => {
  const right = { name: 'book', arguments: { city: 'New York', days: 4, quiet: true, tags: ['a', 'b'] } };
  const options = { functions: [] as string[], words: ['Berlin'] };
  const wrong = (i: number, of: Partial<typeof options> = {}) => wrongCall(right, { ...options, ...of, i });
  assert.deepEqual(wrong(0)!.arguments, { ...right.arguments, city: 'New' });
  assert.deepEqual(wrong(1)!.arguments, { ...right.arguments, days: 40 });
  assert.deepEqual(wrong(2)!.arguments, { ...right.arguments, quiet: false });
  assert.deepEqual(wrong(3)!.arguments, { ...right.arguments, tags: ['a'] });
  assert.deepEqual(wrong(4, { functions: ['cancel'] }), { name: 'cancel', arguments: right.arguments });
  const single = { name: 'find', arguments: { city: 'Ulm' } };
  assert.deepEqual(wrongCall(single, { ...options, i: 1 })!.arguments, { city: 'Berlin' });
  assert.equal(wrongCall({ name: 'now', arguments: {} }, { ...options, i: 0 }), null);
});

test('supervised training learns the chosen answers', () => {
  assert.deepEqual(demonstrationOf({ prompt: 'a', chosen: 'b', rejected: 'c' }), {
    prompt: 'a',
    completion: 'b',
  });
  const user = { role: 'user', content: 'a' };
  const answer = (content: string) => [{ role: 'assistant', content }];
  assert.deepEqual(
    demonstrationOf({ tools: [], prompt: [user], chosen: answer('b'), rejected: answer('c') }),
    { tools: [], messages: [user, ...answer('b')] },
  );
});

test('accuracy is of log-ratios to the start, and the log-probability is a mean over all tokens', () => {
  const before = [
    { chosen: -4, rejected: -2, tokens: 1 },
    { chosen: -2, rejected: -4, tokens: 3 },
  ];
  const after = [
    { chosen: -3, rejected: -2, tokens: 1 },
    { chosen: -3, rejected: -4, tokens: 3 },
  ];
  assert.deepEqual(measuresOf(before, null), {
    accuracy: null,
    preferred: 0.5,
    margin: null,
    logp: -1.5,
    pairs: 2,
  });
  assert.deepEqual(measuresOf(after, before), {
    accuracy: 0.5,
    preferred: 0.5,
    margin: 0,
    logp: -1.5,
    pairs: 2,
  });
});

const measures = { preferred: 1, margin: 1, logp: -1, pairs: 60 };
const start: StartResult = {
  task: 'interfaces',
  start: 'version',
  data: 'x',
  ...measures,
  accuracy: null,
  right: 50,
};
const result = (share: number, accuracy: number, right: number): PreferenceResult => {
  const trial = { task: 'interfaces', method: 'dpo', start: 'version' as const, share, preference: {} };
  const run = { n_epochs: null, seed: 42, data: 'x', learning_rate: 1, steps: 1, seconds: 1 };
  return { ...trial, ...run, ...measures, accuracy, right };
};
const automatic = automaticShare('dpo', start);
const verdictOf = (...results: PreferenceResult[]) => {
  const [verdict, ...more] = preferenceVerdicts({ starts: [start], results });
  assert.equal(more.length, 0);
  return verdict!;
};

test('the automatic rate may be two points behind the best that keeps what was learned, and lose two points', () => {
  const holds = verdictOf(result(automatic, 0.96, 49), result(2 * automatic, 0.98, 49));
  assert.equal(faultOf(holds), null);
  const ignored = verdictOf(result(automatic, 0.9, 50), result(2 * automatic, 1, 40));
  assert.equal(faultOf(ignored), null, 'the better one has lost too much');
  const behind = verdictOf(result(automatic, 0.9, 50), result(2 * automatic, 0.98, 50));
  assert.equal(faultOf(behind), '8 points less accurate than the best');
  const lost = verdictOf(result(automatic, 1, 40), result(automatic / 2, 0.98, 50));
  assert.equal(faultOf(lost), '17 points lost of what was learned');
  assert.equal(faultOf(verdictOf(result(automatic / 2, 1, 50))), 'not tried');
  assert.deepEqual(preferenceFaults([holds, lost]), [
    'preferences: dpo from version: interfaces: 17 points lost of what was learned',
  ]);
});

test('another beta or number of epochs may be two points more accurate than the automatic one', () => {
  const own = result(automatic, 0.9, 50);
  const faultsOf = (...others: PreferenceResult[]) =>
    optionFaults({ starts: [start], results: [own, ...others] });
  const better = { ...result(automatic, 0.95, 50), preference: { beta: 0.3 } };
  assert.deepEqual(faultsOf(better), [
    'preferences: dpo from version: interfaces: {"beta":0.3}, epochs auto: more accurate than the automatic options',
  ]);
  assert.equal(faultsOf({ ...better, preference: {}, n_epochs: 3 }).length, 1);
  assert.deepEqual(faultsOf({ ...better, accuracy: 0.92 }, { ...better, right: 40 }), []);
  assert.deepEqual(faultsOf({ ...better, share: 2 * automatic }, { ...better, task: 'modules' }), []);
});

test('tables have a column for each share, and a line for each run with other options', () => {
  const verdicts = [verdictOf(result(automatic, 0.96, 49), result(1, 0.5, 0))];
  const table = sharesTable(verdicts, 'version');
  assert.match(
    table,
    /\| interfaces \| held out \| dpo \| 50 of 60 \| \*\*96 %, 49 of 60\*\* \| 50 %, 0 of 60 \|/,
  );
  assert.equal(sharesTable(verdicts, 'base').split('\n').length, 3);
  const other = { ...result(automatic, 0.7, 48), preference: { beta: 0.3 } };
  const options = optionsTable([result(automatic, 0.96, 49), result(1, 0.5, 0), other]);
  assert.match(options, /\| interfaces \| version \| 0\.3 \| automatic \| 1 \| 42 \| 70 % \|/);
  assert.equal(options.split('\n').length, 5);
});
