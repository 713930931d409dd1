/** Runs of a tiny model on preferences, with unsuitable data and options, and the findings from their metrics; then metrics alone. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { ResolvedTraining, TrainingOptions } from '../../config/index.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import type { Objective } from '../../objectives/objective.ts';
import { objectives } from '../../objectives/objectives.ts';
import { Random } from '../../random.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { type TestTrainOptions, trainOptions, trainRecords } from '../../testing/train-adapter.ts';
import type { TrainRecord } from '../records.ts';
import { preferenceAdvice } from './advice.ts';
import { CurveWatch, type Finding, type PreferenceFinding } from './curve-watch.ts';

const at = tempFolder();
let base: BaseModel;

before(async () => {
  await writeTinyModel(at('model'), { num_hidden_layers: 1 });
  base = await openBaseModel(at('model'));
  const pair = (i: number, [chosen, rejected]: [string, string]) =>
    JSON.stringify({ prompt: `${i}:`, chosen, rejected });
  const pairs = Array.from({ length: 8 }, (_, i) => pair(i, [' yes', ' no']));
  // As often the other way round.
  const contrary = Array.from({ length: 8 }, (_, i) => pair(i, [' no', ' yes']));
  writeFileSync(at('pairs.jsonl'), pairs.join('\n'));
  writeFileSync(at('contrary.jsonl'), [...pairs, ...contrary].join('\n'));
});
after(() => base.close());

interface Given {
  training: TrainingOptions;
  file?: string;
  validationFile?: string;
  resume?: true;
}

const run = (
  name: string,
  { training, file = 'pairs.jsonl', validationFile, resume }: Given,
): TestTrainOptions => ({
  ...trainOptions({
    base,
    trainingFile: at(file),
    exampleCount: file === 'pairs.jsonl' ? 8 : 16,
    ...(validationFile ? { validationFile: at(validationFile) } : {}),
    peft: { peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: 'all-linear' },
    format: 'preference',
    method: 'dpo',
    training: { batch_size: 8, ...training },
    outputDir: at(name),
  }),
  checkpointDir: at(`${name}.checkpoints`),
  ...(resume ? { resume } : {}),
});

const adviceIn = (records: TrainRecord[]) => records.filter((record) => record.type === 'advice');

test('pairs that contradict each other: the accuracy stays at one half, and a resumed run says the same', async () => {
  const training = { max_steps: 60, learning_rate: 0.01, checkpoint_steps: 35 };
  const contrary: Given = { training: { ...training, batch_size: 16 }, file: 'contrary.jsonl' };
  const whole = adviceIn(await trainRecords(run('contrary', contrary)));
  assert.deepEqual(
    whole.map(({ kind, step }) => [kind, step]),
    [['undecided', 30]],
  );
  const [{ message, try: tried }] = whole as [(typeof whole)[0]];
  assert.match(
    message,
    /^The reward accuracy is still 0\.\d\d at step 30, .* Try learning_rate .* instead of 0\.01; .*contradict each other\.$/,
  );
  assert.deepEqual(Object.keys(tried), ['learning_rate']);
  await trainRecords(run('cut', contrary), (record) => record.type === 'step' && record.step === 40);
  const rest = await trainRecords(run('cut', { ...contrary, resume: true }));
  assert.ok(rest[0]?.type === 'start' && rest[0].resumedFrom === 35);
  assert.deepEqual(adviceIn(rest), whole);
});

test('pairs that were learned long ago: the margin explodes, and a resumed run says the same', async () => {
  const given: Given = {
    training: {
      max_steps: 80,
      learning_rate: 0.003,
      eval_steps: 5,
      checkpoint_steps: 60,
      lr_scheduler_type: 'constant',
      preference: { beta: 10 },
    },
    validationFile: 'pairs.jsonl',
  };
  const records = await trainRecords(run('learned', given));
  const whole = adviceIn(records);
  const advice = whole.find(({ kind }) => kind === 'margin_exploding');
  assert.ok(advice);
  assert.match(
    advice.message,
    /^The reward margin rises, from .* at step \d+ to \d+\.\d\d at step \d+, while every validation pair is ranked right already: .*\. Try learning_rate 6\.3e-4 instead of 3e-3\.$/,
  );
  await trainRecords(run('learned-cut', given), (record) => record.type === 'step' && record.step === 65);
  const rest = await trainRecords(run('learned-cut', { ...given, resume: true }));
  assert.ok(rest[0]?.type === 'start' && rest[0].resumedFrom === 60);
  assert.deepEqual(adviceIn(rest), whole);
});

type Evaluated = { accuracy?: number; margin?: number; chosen?: number };

/** Findings of 60 steps with evaluations after each tenth. */
function findingsOf(accuracyAt: (step: number) => number | null, evaluations: Evaluated[] = []): Finding[] {
  const watch = new CurveWatch({ totalSteps: 60, warmupSteps: 2, continues: false, prefers: true });
  return Array.from({ length: 60 }, (_, i) => {
    const loss = 2 / (1 + i);
    const found = watch.takeStep({ loss, tokenAccuracy: accuracyAt(i + 1), gradNorm: 1 });
    const evaluated = evaluations[(i + 1) / 10 - 1];
    if (!evaluated) return found;
    const { accuracy = Number.NaN, margin = Number.NaN, chosen = Number.NaN } = evaluated;
    const metrics = { rewards_margin: margin, logps_chosen: chosen };
    return [...found, ...watch.takeEvaluation({ loss, tokenAccuracy: accuracy, metrics })];
  }).flat();
}
const kinds = (findings: Finding[]) => findings.map(({ kind, to }) => [kind, to.step]);

test('an accuracy of one half must be that of many pairs', () => {
  const random = new Random(3, 'test');
  const among = (pairs: number, share: number) => () =>
    Array.from({ length: pairs }, () => Number(random.uniform() < share)).reduce((a, b) => a + b, 0) / pairs;
  assert.deepEqual(kinds(findingsOf(among(64, 0.5))), [['undecided', 30]]);
  for (let round = 0; round < 50; round++) {
    assert.deepEqual(findingsOf(among(1, 0.5)), []);
    assert.deepEqual(findingsOf(among(16, 0.7)), []);
  }
  // The metric of an objective without accuracy, and of the first steps of a run that learns.
  assert.deepEqual(
    findingsOf(() => null),
    [],
  );
  assert.deepEqual(
    findingsOf((step) => (step <= 20 ? 0.5 : 0.8)),
    [],
  );
});

test('a margin is too large only if every pair was ranked right before', () => {
  const of = (evaluations: Evaluated[]) => kinds(findingsOf(() => 1, evaluations));
  const right = (margin: number) => ({ accuracy: 1, margin });
  assert.deepEqual(of([right(2), right(8), right(19), right(21), right(40)]), [['margin_exploding', 40]]);
  assert.deepEqual(of([right(2), { accuracy: 0.99, margin: 21 }, { accuracy: 0.98, margin: 30 }]), []);
  assert.deepEqual(of([{ accuracy: 0.9, margin: 5 }, right(30)]), []);
});

test('chosen completions become unlikely if they lose half of their log-probability, twice', () => {
  const of = (chosen: number[]) =>
    kinds(
      findingsOf(
        () => 1,
        chosen.map((each) => ({ chosen: each })),
      ),
    );
  assert.deepEqual(of([-40, -35, -60, -62]), [['chosen_unlikely', 40]]);
  assert.deepEqual(of([-40, -60, -41, -70, -41]), []);
  assert.deepEqual(of([-40, -45, -50, -55]), []);
  assert.deepEqual(of([-0.2, -0.5, -0.8]), []);
});

test('what to try depends on the method and on the options that were used', () => {
  const tried = (
    kind: PreferenceFinding['kind'],
    objective: Objective,
    preference: Record<string, unknown>,
  ) => {
    const training = { learning_rate: 1e-5, preference } as unknown as ResolvedTraining;
    const finding = { kind, from: { step: 5, value: -40 }, to: { step: 20, value: -90 } };
    return preferenceAdvice(finding, training, { objective, automatic: 2e-5 });
  };
  const sigmoid = { beta: 0.1, loss_type: 'sigmoid' };
  assert.deepEqual(tried('margin_exploding', objectives.dpo, sigmoid).try, {
    learning_rate: 3e-6,
    preference: { beta: 0.2 },
  });
  assert.deepEqual(tried('margin_exploding', objectives.simpo, { beta: 2, cpo_alpha: 0 }).try, {
    learning_rate: 3e-6,
  });
  const unlikely = tried('chosen_unlikely', objectives.dpo, { ...sigmoid, loss_type: ['ipo'] });
  assert.deepEqual(unlikely.try.preference, { loss_type: ['ipo', 'sft'], loss_weights: [1, 1] });
  assert.match(
    unlikely.message,
    /Try learning_rate 3e-6 instead of 1e-5, or preference\.loss_type \["ipo","sft"\] instead of \["ipo"\], or preference\.loss_weights \[1,1\]\.$/,
  );
  assert.deepEqual(tried('chosen_unlikely', objectives.simpo, { beta: 2, cpo_alpha: 0 }).try.preference, {
    cpo_alpha: 1,
  });
  assert.deepEqual(tried('chosen_unlikely', objectives.orpo, { beta: 0.1 }).try, { learning_rate: 3e-6 });
  assert.deepEqual(tried('chosen_unlikely', objectives.kto, { beta: 0.1 }).try.preference, { beta: 0.2 });
  assert.deepEqual(tried('undecided', objectives.dpo, sigmoid).try, { learning_rate: 5e-5 });
});
