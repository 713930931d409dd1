import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEFAULT_MODEL,
  type Experiment,
  isTooFar,
  type LongResult,
  longFaults,
  longVerdicts,
  notYet,
  pendingOf,
  RUNS,
  resolvedFor,
  type Setting,
  settingsFor,
  settingsTable,
  trialsOf,
  verdictTable,
  verdictText,
} from './long.ts';
import { digestOf, sizeOf } from './sweep.ts';
import { type LongTask, longTasks, QUESTIONS, questionsOf } from './tasks.ts';

const rows = Array.from({ length: 40 }, (_, i) => ({ prompt: `${i}\n`, completion: `number ${i}` }));
const data = () => ({ training: rows, validation: rows.slice(0, 3) });
const tasks: Record<string, LongTask> = {
  asked: { about: '', isScored: true, data },
  read: { about: '', isScored: false, data },
};
const size = sizeOf(rows);

const small = { model_type: 'llama', hidden_size: 576, steps: 1000 };
const seven = { model_type: 'qwen2', hidden_size: 4096, steps: 1000 };
const experiment = (task: string, of = small, model = DEFAULT_MODEL): Experiment => {
  return { ...of, model, task, data: digestOf(tasks[task]!.data()) };
};

/** Results of a task's whole grid, as `measure` computes them for each setting. */
function measuredAs(
  of: Experiment,
  measure: (setting: Setting, seed: number) => { loss: number | null; right: number | null },
): LongResult[] {
  return trialsOf(settingsFor(of, size)).map((trial) => {
    return { ...of, ...trial, ...measure(trial, trial.seed), seconds: 1 };
  });
}

const isAutomatic = (of: Experiment, setting: Setting) =>
  setting.lora_alpha === 64 &&
  setting.batch_size === 8 &&
  setting.learning_rate === settingsFor(of, size)[0].learning_rate;

test('rates around the automatic one, and the automatic setting first', () => {
  const settings = settingsFor(small, size);
  assert.deepEqual(settings[0], { r: 16, lora_alpha: 64, batch_size: 8, learning_rate: 9.3e-4 });
  assert.equal(new Set(settings.map((each) => JSON.stringify(each))).size, settings.length);
  assert.deepEqual(
    settings.map(({ learning_rate }) => learning_rate),
    [9.3e-4, 4.7e-4, 1.9e-3],
  );
  assert.equal(resolvedFor(small, size).max_steps, 1000);
  // The rate of a job of as many steps on a wide model.
  assert.equal(settingsFor(seven, size)[0].learning_rate, 1.2e-4);
});

test('each setting has each seed, all settings of one seed before the next, and what was done is not done again', () => {
  const of = experiment('asked');
  const trials = trialsOf(settingsFor(of, size));
  assert.equal(trials.length, RUNS);
  const settings = settingsFor(of, size).length;
  assert.deepEqual(
    trials.filter((_, i) => i % settings === 0).map(({ seed }) => seed),
    [42, 43, 44],
  );
  const done = measuredAs(of, () => ({ loss: 1, right: 1 })).slice(0, 5);
  assert.deepEqual(pendingOf(of, trials, done), trials.slice(5));
  const otherwise = [
    { ...of, task: 'read' },
    { ...of, steps: 2000 },
    { ...of, data: 'other' },
  ];
  for (const other of [...otherwise, { ...of, model: 'other' }])
    assert.equal(pendingOf(other, trials, done).length, RUNS);
  assert.equal(trialsOf(settingsFor(of, size), 1).length, settings);
});

test('without results nothing is claimed, and nothing fails', () => {
  const verdicts = longVerdicts([], tasks);
  assert.deepEqual(longFaults(verdicts), []);
  assert.deepEqual(notYet(verdicts), [
    `long runs: ${DEFAULT_MODEL} asked: not measured yet, ${RUNS} runs are to be made`,
    `long runs: ${DEFAULT_MODEL} read: not measured yet, ${RUNS} runs are to be made`,
  ]);
  assert.match(verdictTable(verdicts), /\| read \| 1000 \| {2}\| {2}\| {2}\| {2}\| not measured yet \|/);
});

test('losses may be 5 % above the best, and answers of a scored task two of sixty fewer as well', () => {
  const read = experiment('read');
  const asked = experiment('asked');
  const verdictWith = (loss: number, right: number, askedLoss = 2) => {
    const results = [
      ...measuredAs(read, (setting) => ({ loss: isAutomatic(read, setting) ? loss : 2, right: null })),
      ...measuredAs(asked, (setting) => ({
        loss: isAutomatic(asked, setting) ? askedLoss : 2,
        right: isAutomatic(asked, setting) ? right : 50,
      })),
    ];
    return longVerdicts(results, tasks);
  };
  const good = verdictWith(2.1, 48);
  assert.deepEqual(longFaults(good), []);
  assert.deepEqual(notYet(good), []);
  assert.deepEqual(good.map(verdictText), [
    '2.0 of 60 answers fewer, 1.000 times the best loss',
    '1.050 times the best loss',
  ]);
  const bad = verdictWith(2.11, 47);
  assert.deepEqual(longFaults(bad), [
    `long runs: ${DEFAULT_MODEL} asked: 3.0 of 60 answers fewer, 1.000 times the best loss; the limit is 2 answers of 60 and 1.05 times`,
    `long runs: ${DEFAULT_MODEL} read: 1.055 times the best loss; the limit is 1.05 times`,
  ]);
  assert.match(verdictTable(bad), /1\.055 times the best loss ✗/);
  // Good answers do not excuse a loss.
  assert.deepEqual(verdictWith(1, 60, 2.2).map(isTooFar), [true, false]);
  // It may be the best itself.
  assert.deepEqual(verdictWith(1, 60).map(isTooFar), [false, false]);
});

test('means are of three seeds, with how far these lie apart; fewer seeds are compared with nothing', () => {
  const of = experiment('read');
  const results = measuredAs(of, (setting, seed) => {
    const own = isAutomatic(of, setting) ? [1, 1.1, 1.3][seed - 42]! : 2;
    return { loss: own, right: null };
  });
  const [whole] = longVerdicts(results, { read: tasks.read! });
  assert.equal(whole!.settings.length, settingsFor(of, size).length);
  assert.match(
    settingsTable([whole!]),
    /\| 64 \| 9\.3e-4 \(automatic\) \| 0\.060 \| 8 \| 3 \| 1\.133 \(0\.30\) \|/,
  );
  // The last seed is missing: nothing is compared.
  const [part] = longVerdicts(
    results.filter(({ seed }) => seed !== 44),
    { read: tasks.read! },
  );
  assert.equal(verdictText(part!), 'not measured yet');
  assert.equal(part!.pending, RUNS / 3);
  // A better setting that has one seed is no better yet.
  const lucky = results.filter((result) => isAutomatic(of, result) || result.seed === 42);
  const ahead = lucky.map((result) => (isAutomatic(of, result) ? result : { ...result, loss: 0.1 }));
  const [verdict] = longVerdicts(ahead, { read: tasks.read! });
  assert.equal(isTooFar(verdict!), false);
  assert.match(notYet([verdict!])[0]!, /not measured in full/);
});

test('runs that diverge are the worst, and runs of other data or of few steps count for nothing', () => {
  const of = experiment('read');
  const diverged = measuredAs(of, (setting, seed) => ({
    loss: isAutomatic(of, setting) && seed === 43 ? null : 2,
    right: null,
  }));
  const only = { read: tasks.read! };
  const [verdict] = longVerdicts(diverged, only);
  assert.equal(isTooFar(verdict!), true);
  assert.match(settingsTable([verdict!]), /\| diverged \|/);
  for (const other of [{ data: 'old' }, { steps: 999 }]) {
    const verdicts = longVerdicts(
      diverged.map((result) => ({ ...result, ...other })),
      only,
    );
    assert.deepEqual(verdicts.map(verdictText), ['not measured yet']);
  }
});

test('a larger model is compared by its own width and family, beside the default one', () => {
  const of = experiment('read', seven, 'org/seven-billion');
  const results = measuredAs(of, (setting) => ({ loss: isAutomatic(of, setting) ? 1 : 2, right: null }));
  const verdicts = longVerdicts(results, { read: tasks.read! });
  assert.deepEqual(
    verdicts.map((verdict) => [verdict.model, verdictText(verdict)]),
    [
      [DEFAULT_MODEL, 'not measured yet'],
      ['org/seven-billion', '1.000 times the best loss'],
    ],
  );
});

for (const [name, task] of Object.entries(longTasks))
  test(`${name}: enough rows, none of which it is measured on, and questions with one answer`, () => {
    const { training, validation } = task.data();
    const seen = new Set(training.map((row) => JSON.stringify(row)));
    assert.equal(seen.size, training.length);
    assert.ok(validation.every((row) => !seen.has(JSON.stringify(row))));
    // A thousand steps of eight are four passes or fewer.
    assert.ok(training.length >= 2000, String(training.length));
    assert.equal(digestOf(task.data()), digestOf(task.data()));
    const questions = questionsOf(task);
    assert.equal(questions.length, task.isScored ? QUESTIONS : 0);
    for (const { prompt, answer } of questions) {
      assert.ok(answer.length > 0);
      assert.ok(!JSON.stringify(prompt).includes(answer), `${JSON.stringify(prompt)} contains ${answer}`);
    }
  });

test('interfaces: most answers can be learned from other members', () => {
  const { training } = longTasks.interfaces!.data();
  const taught = new Set((training as { completion: string }[]).map(({ completion }) => completion));
  const known = questionsOf(longTasks.interfaces!).filter(({ answer }) => taught.has(answer));
  assert.ok(known.length >= QUESTIONS - 2, String(known.length));
});
