// Weights of lines and of messages: what is read of them, and what reaches the targets of a batch.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GraftError } from '../../errors.ts';
import { loadTokenizer } from '../../text/tokenizer.ts';
import { sizeOf } from '../batches/example-size.ts';
import { fillBatch, targetsOf } from '../batches/fill-batch.ts';
import { planBatches } from '../batches/plan-batches.ts';
import { parseJsonl } from '../jsonl.ts';
import { shapes } from '../shapes/shapes.ts';
import { ExampleTokenizer, tokenizeExamples } from '../tokenize-examples.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';
import { formats } from './formats.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));
const { templates, tokens } = read('examples/testdata/chat-labels.json');
const tokenizer = loadTokenizer({
  tokenizerJson: read('text/testdata/tiny-tokenizer.json'),
  tokenizerConfig: tokens,
  chatTemplate: templates.smollm2,
});
const parsed = (...lines: object[]) => parseJsonl(lines.map((line) => JSON.stringify(line))).examples;
const tokenized = (lines: object[], options: object = {}) =>
  tokenizeExamples(tokenizer, parsed(...lines), { maxSeqLength: 512, classOf: () => 0, ...options });

/** The batch of all examples, one in each row. */
function batchOf(examples: TrainingExample[], classes = 0) {
  const sizes = examples.map((example) => sizeOf(example));
  const plan = planBatches({
    examples: sizes,
    batchSize: examples.length,
    accumulation: 1,
    epochs: 1,
    seed: 1,
    packing: false,
    maxSteps: 1,
  });
  const layout = { virtualTokens: 0, vocabularySize: 9000, firstPosition: 0, pooling: 'last' } as const;
  return fillBatch(plan, examples, 0, 0, { ...layout, classes });
}

for (const { name, sample, tasks } of formats)
  test(`${name}: the weight of a line is that of all its targets`, () => {
    const line = JSON.parse(sample);
    const decoderStart = tasks[0] === 'SEQ_2_SEQ_LM' ? 0 : null;
    const [plain] = tokenized([line], { decoderStart });
    assert.equal(plain!.weight, undefined);
    for (const weight of [1, null])
      assert.deepEqual(tokenized([{ ...line, weight }], { decoderStart }), [plain]);
    const [weighted] = tokenized([{ ...line, weight: 2.5 }], { decoderStart });
    assert.deepEqual(weighted, { ...plain, weight: 2.5 });
    const [batch, before] = [batchOf([weighted!], 1), batchOf([plain!], 1)];
    assert.ok(batch.labelCount > 0);
    assert.equal(batch.labelCount, before.labelCount);
    const { count, weight } = targetsOf(before);
    assert.equal(weight, count);
    assert.equal(targetsOf(batch).weight, 2.5 * count);
    for (const [k, weight] of before.labelWeights.entries())
      assert.ok(Math.abs(batch.labelWeights[k]! - 2.5 * weight) < 1e-6);
  });

for (const { name, sample } of shapes)
  test(`${name}: a row has a weight, too`, () => {
    const line = JSON.parse(sample);
    const [plain] = parsed(line);
    assert.deepEqual(parsed({ ...line, weight: 0.5 }), [{ ...plain, weight: 0.5 }]);
    assert.throws(() => parsed({ ...line, weight: 11 }), /"weight" must be a number from 0 to 10/);
  });

test('anything else as a weight is a fault of its line that says what to do', () => {
  const faultOf = (line: object) => {
    try {
      parsed(line);
    } catch (error) {
      return (error as GraftError).details![0]!.message;
    }
    assert.fail(`${JSON.stringify(line)} was accepted`);
  };
  for (const weight of [-0.1, 10.1, 1e-10, '2', 'heavy', true, [1], { a: 1 }]) {
    const fault = faultOf({ text: 'a', weight });
    assert.match(fault, /^"weight" must be a number from 0 to 10.*, got .*rename a column/, fault);
  }
  assert.match(faultOf({ text: 'a', weight: 1e-10 }), /at least 1e-9 if it is not 0/);
  // JSON has no larger number.
  assert.throws(() => parseJsonl(['{"text":"a","weight":1e999}']), /must be a number from 0 to 10/);
  assert.match(
    faultOf({ prompt: 1, completion: 'a', weight: 11 }),
    /"prompt" must be a string.*; "weight" must be/,
  );
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b', weight: 10.5 },
  ];
  assert.match(faultOf({ messages }), /messages\[1\] has weight 10.5; it must be a number from 0 to 10/);
  for (const weight of [0, 1e-9, 0.3, 10]) assert.doesNotThrow(() => parsed({ text: 'a', weight }));
});

const chatOf = (...weights: (number | undefined)[]) => ({
  messages: weights.flatMap((weight, i) => [
    { role: 'user', content: `question ${i}` },
    { role: 'assistant', content: `answer ${i}`, ...(weight === undefined ? {} : { weight }) },
  ]),
});

test('a chat: each trained message has its own weight, times that of the example', () => {
  const [plain] = tokenized([chatOf(1, undefined, 1)]);
  assert.equal(plain!.sequences[0]!.weights, undefined);
  const [chat] = tokenized([{ ...chatOf(0.5, undefined, 3), weight: 2 }]);
  const { targets, weights } = chat!.sequences[0]!;
  assert.deepEqual(targets, plain!.sequences[0]!.targets);
  const found = [...targets!].flatMap((target, t) => (target === NO_TARGET ? [] : [weights![t]!]));
  const turns = found.filter((weight, i) => weight !== found[i - 1]);
  assert.deepEqual(turns, [0.5, 1, 3]);
  const batch = batchOf([chat!]);
  assert.deepEqual(
    [...batch.labelWeights.subarray(0, batch.labelCount)],
    found.map((weight) => 2 * weight),
  );
  // Message 0 is not trained on, and later weights do not move.
  const [later] = tokenized([chatOf(0, 0.5, 3)]);
  const sequence = later!.sequences[0]!;
  const rest = [...sequence.targets!].flatMap((target, t) =>
    target === NO_TARGET ? [] : [sequence.weights![t]!],
  );
  assert.deepEqual([...new Set(rest)], [0.5, 3]);
});

test('a truncated chat keeps the weights of the tokens that are left', () => {
  const [whole] = tokenized([chatOf(0.5, 3)]);
  const { weights } = whole!.sequences[0]!;
  const [cut] = tokenized([chatOf(0.5, 3)], { maxSeqLength: whole!.tokens - 2, overlong: 'truncate' });
  const sequence = cut!.sequences[0]!;
  assert.equal(sequence.weights!.length, sequence.targets!.length);
  assert.deepEqual(sequence.weights, weights!.subarray(0, sequence.weights!.length));
});

test('each piece of a long text has the weight of its line', () => {
  const pieces = tokenized([{ text: 'a b c d e f g h i j k l m n o p', weight: 0.25 }], {
    maxSeqLength: 8,
    textStride: 2,
  });
  assert.ok(pieces.length > 1);
  for (const piece of pieces) assert.equal(piece.weight, 0.25);
});

test('lines of weight 0 are checked and counted, and no example comes of them', () => {
  const all = new ExampleTokenizer(tokenizer, { maxSeqLength: 512 });
  const examples = parsed({ text: 'a b' }, { text: 'c d', weight: 0 }, { text: 'e f', weight: 3 });
  const lines = examples.flatMap((raw) => all.pieces(raw)).map(({ line }) => line);
  assert.deepEqual(lines, [1, 3]);
  assert.deepEqual([all.counts.examples, all.counts.zero_weight], [2, 1]);
  assert.throws(() => parsed({ text: '', weight: 0 }), /"text" is empty/);
});
