// A validation split holds out examples by the content of their prompts, whatever else the file contains.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawExample } from '../formats/formats.ts';
import { OverlapCounter } from '../report/overlap-counter.ts';
import type { TrainingExample } from '../training-example.ts';
import { type Place, placeReader, split } from './hold-out.ts';
import { placeOf, promptOf } from './prompt-place.ts';

interface Line {
  prompt: string;
  label?: number;
}
const options = { validation_split: 0.2, validation_seed: 42, seed: 1 };
const lines = (count: number, prompt = (i: number) => `question ${i}`): Line[] =>
  Array.from({ length: count }, (_, i) => ({ prompt: prompt(i) }));
const raw = ({ prompt }: Line): RawExample => ({
  format: 'prompt_completion',
  line: 1,
  prompt,
  completion: 'yes',
});

function parts(all: readonly Line[], given: Partial<typeof options> = {}) {
  const training = { ...options, ...given };
  const place = placeReader(training, false)!;
  const places = all.map((line) => {
    const example = {
      sequences: [],
      tokens: 1,
      line: 1,
      ...(line.label === undefined ? {} : { label: line.label }),
    };
    return place(raw(line), example satisfies TrainingExample);
  });
  return split(all, places, training);
}
const prompts = (all: readonly Line[]) => all.map(({ prompt }) => prompt);

test('about the share is held out, and each line is on one side', () => {
  const all = lines(5000);
  const { training, validation } = parts(all);
  assert.deepEqual(new Set(prompts([...training, ...validation])), new Set(prompts(all)));
  assert.equal(training.length + validation.length, 5000);
  // Five standard deviations of a binomial distribution.
  const deviation = Math.sqrt(5000 * 0.2 * 0.8);
  assert.ok(Math.abs(validation.length - 1000) < 5 * deviation, `${validation.length}`);
});

test('examples with the same prompt are on one side, and another training seed keeps them there', () => {
  const all = lines(400, (i) => `question ${i % 50}`);
  const { training, validation } = parts(all);
  const held = new Set(prompts(validation));
  assert.ok(held.size > 1 && held.size < 49, `${held.size}`);
  assert.ok(prompts(training).every((prompt) => !held.has(prompt)));
  assert.deepEqual(parts(all, { seed: 7 }), { training, validation });
  assert.notDeepEqual(new Set(prompts(parts(all, { validation_seed: 43 }).validation)), held);
});

test('a longer file, and another order, moves no line to the other side', () => {
  const before = parts(lines(300));
  const after = parts(lines(900).reverse());
  const [trained, held] = [new Set(prompts(after.training)), new Set(prompts(after.validation))];
  assert.ok(prompts(before.training).every((prompt) => trained.has(prompt)));
  assert.ok(prompts(before.validation).every((prompt) => held.has(prompt)));
});

test('each side has a line wherever there are two prompts; one prompt is for training', () => {
  for (let i = 0; i < 60; i++) {
    for (const validation_split of [0.01, 0.5]) {
      const pair = parts(
        lines(2, (n) => `${i}, ${n}`),
        { validation_split },
      );
      assert.deepEqual([pair.training.length, pair.validation.length], [1, 1]);
    }
    const same = parts(
      lines(3, () => `${i}`),
      { validation_split: 0.5 },
    );
    assert.deepEqual([same.training.length, same.validation.length], [3, 0]);
  }
});

test('each class is in both parts if its share is at least one example', () => {
  for (let validation_seed = 0; validation_seed < 50; validation_seed++) {
    const all = Array.from({ length: 48 }, (_, i) => ({ prompt: `text ${i}`, label: i % 8 }));
    const { training, validation } = parts(all, { validation_seed });
    for (const part of [training, validation])
      assert.equal(new Set(part.map(({ label }) => label)).size, 8, `seed ${validation_seed}`);
  }
});

test('a class with a single text is for training', () => {
  const common = Array.from({ length: 40 }, (_, i) => ({ prompt: `text ${i}`, label: 0 }));
  for (let i = 0; i < 40; i++) {
    const rare = { prompt: `rare ${i}`, label: 1 };
    assert.ok(parts([...common, rare], { validation_split: 0.5 }).training.includes(rare));
  }
});

test('a job of an earlier version holds out what it held out: an exact share of lines by its seed', () => {
  const old = { validation_split: 0.2, seed: 5 };
  assert.equal(placeReader(old, false), null);
  const { validation } = split([...Array(10).keys()], null, old);
  assert.deepEqual(validation, OLD);
});
/** The lines that version 0.1 held out of ten. */
const OLD = [4, 8];

test('the side of a prompt is fixed by its SHA-256', () => {
  // sha256("42:question 0"), first six bytes, over 2^48: computed with node -e, or Python's hashlib.
  assert.equal(placeOf('question 0', 42), PLACE);
});
const PLACE = 0.39903693689333153;

test('the prompt is all before the first answer that is trained on, and of other lines the question', () => {
  const chat = (
    ...turns: [role: 'system' | 'user' | 'assistant', content: string, weight?: 0 | 1][]
  ): RawExample => ({
    format: 'chat',
    line: 1,
    messages: turns.map(([role, content, weight]) => ({
      role,
      content,
      ...(weight === undefined ? {} : { weight }),
    })),
  });
  const asked = chat(
    ['system', 's'],
    ['user', 'q'],
    ['assistant', 'a'],
    ['user', 'more'],
    ['assistant', 'b'],
  );
  assert.equal(promptOf(asked), promptOf(chat(['system', 's'], ['user', 'q'], ['assistant', 'other'])));
  assert.notEqual(promptOf(asked), promptOf(chat(['system', 't'], ['user', 'q'], ['assistant', 'a'])));
  const shown = chat(['user', 'q'], ['assistant', 'a', 0], ['user', 'r'], ['assistant', 'b']);
  assert.notEqual(promptOf(shown), promptOf(chat(['user', 'q'], ['assistant', 'b'])));
  // Without a question, the whole content counts, not only its beginning.
  assert.notEqual(
    promptOf(chat(['system', 's'], ['assistant', 'a'])),
    promptOf(chat(['system', 's'], ['assistant', 'b'])),
  );
  const pair = (positive: string): RawExample => ({ format: 'pairs', line: 1, texts: ['anchor', positive] });
  assert.equal(promptOf(pair('x')), promptOf(pair('y')));
  const classified = (label: string): RawExample => ({ format: 'classification', line: 1, text: 't', label });
  assert.equal(promptOf(classified('x')), promptOf(classified('y')));
});

test('a split of many lines takes time in proportion to them', () => {
  const places = Array.from(
    { length: 400_000 },
    (_, i): Place => ({ at: (i % 1000) / 1000, label: i % 500 }),
  );
  const started = performance.now();
  const { validation } = split(places, places, options);
  assert.ok(validation.length > 79_000);
  assert.ok(performance.now() - started < 5000);
});

test('the overlap of two files is counted, and estimated where the first is too large to look up', () => {
  const count = (training: Line[], validation: RawExample[], maxSlots?: number) => {
    const counter = new OverlapCounter(maxSlots ? { maxSlots } : {});
    for (const line of training) counter.add(raw(line), 'training_file');
    for (const example of validation) counter.add(example, 'validation_file');
    return counter.overlap();
  };
  const other: RawExample = { format: 'prompt_completion', line: 9, prompt: 'question 1', completion: 'no' };
  const held = [raw({ prompt: 'question 0' }), other, raw({ prompt: 'new' })];
  assert.deepEqual(count(lines(5), held), { prompts: 2, identical: 1, exact: true });
  assert.equal(count(lines(5), []), null);
  const many = lines(20_000);
  const estimate = count(many, [...many.map(raw), ...lines(20_000, (i) => `new ${i}`).map(raw)], 2 ** 12)!;
  assert.equal(estimate.exact, false);
  assert.ok(Math.abs(estimate.prompts / 20_000 - 1) < 0.15, `${estimate.prompts}`);
});
