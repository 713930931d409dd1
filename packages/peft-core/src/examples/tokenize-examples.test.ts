import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
import { sizeOf } from './batches/example-size.ts';
import { fillBatch, type SequenceLayout } from './batches/fill-batch.ts';
import { planBatches } from './batches/plan-batches.ts';
import type { RawExample } from './formats/formats.ts';
import { classesBy, LabelCollector } from './label-names.ts';
import { checkFormat } from './task-formats.ts';
import { tokenizeExamples } from './tokenize-examples.ts';
import { NO_TARGET } from './training-example.ts';

const tokenizerJson = JSON.parse(
  readFileSync(new URL('../text/testdata/tiny-tokenizer.json', import.meta.url), 'utf8'),
);
const load = (more: object = {}) =>
  loadTokenizer({ tokenizerJson: { ...tokenizerJson, ...more }, tokenizerConfig: null, chatTemplate: null });
/** Adds `<s>` before a text and `</s>` after it, as BERT's tokenizer does with its own special tokens. */
const tokenizer = load({
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '<s>', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '</s>', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '<s>': { id: '<s>', ids: [3], tokens: ['<s>'] },
      '</s>': { id: '</s>', ids: [4], tokens: ['</s>'] },
    },
  },
});
const plainIds = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
const classOf = classesBy(['bad', 'good']);

const classified = (line: number, text: string, label: string | number): RawExample => ({
  format: 'classification',
  line,
  text,
  label,
});
const tagged = (words: string[], labels: (string | number | null)[]): RawExample => ({
  format: 'token_classification',
  line: 1,
  words,
  labels,
});

test('a text has one class, by name or by number', () => {
  const examples = tokenizeExamples(
    tokenizer,
    [classified(1, 'A bent wheel', 'good'), classified(2, 'x', 0)],
    { maxSeqLength: 64, classOf },
  );
  assert.deepEqual(
    examples.map(({ label }) => label),
    [1, 0],
  );
  const [first] = examples;
  assert.deepEqual([...first!.sequences[0]!.ids], [3, ...plainIds('A bent wheel'), 4]);
  assert.equal(first!.tokens, plainIds('A bent wheel').length + 2);
});

test('a label that the classifier has not is an error of its line', () => {
  assert.throws(
    () =>
      tokenizeExamples(
        tokenizer,
        [classified(1, 'x', 1), classified(4, 'x', 'fine'), classified(5, 'x', 2)],
        { maxSeqLength: 64, classOf },
      ),
    (error: GraftError) =>
      error.code === 'unknown_label' &&
      error.details?.map(({ line }) => line).join() === '4,5' &&
      /line 4 has the label "fine", which is none of the classifier's/.test(error.message),
  );
});

test("words are tokenised as in the text, and each one's label lies on its first token", () => {
  const words = ['The', 'courier', 'left'];
  const [example] = tokenizeExamples(tokenizer, [tagged(words, ['bad', 'good', null])], {
    maxSeqLength: 64,
    classOf,
  });
  const { ids, targets } = example!.sequences[0]!;
  assert.deepEqual([...ids], [3, ...plainIds('The courier left'), 4]);
  const second = 1 + plainIds('The').length;
  const expected = [...ids].map((_, t) => (t === 1 ? 0 : t === second ? 1 : NO_TARGET));
  assert.deepEqual([...targets!], expected);
});

test('a soft prompt counts against the limit', () => {
  const length = plainIds('A bent wheel').length + 2;
  const tokens = (maxSeqLength: number) =>
    tokenizeExamples(tokenizer, [classified(1, 'A bent wheel', 0)], { maxSeqLength, leading: 20, classOf });
  assert.equal(tokens(length + 20).length, 1);
  assert.throws(
    () => tokens(length + 19),
    (error: GraftError) => error.message.includes(`has ${length} tokens and 20 virtual ones`),
  );
});

test('classes are the names in order, whatever the order of lines, or the numbers', () => {
  const names = (...examples: RawExample[]) => {
    const collector = new LabelCollector();
    for (const example of examples) collector.add(example);
    return collector.names();
  };
  assert.deepEqual(names(classified(1, 'x', 'pos'), classified(2, 'x', 'neg')), ['neg', 'pos']);
  assert.deepEqual(names(classified(1, 'x', 2), classified(2, 'x', 0)), ['LABEL_0', 'LABEL_1', 'LABEL_2']);
  assert.deepEqual(names(tagged(['a', 'b', 'c'], ['O', null, 'B-LOC'])), ['B-LOC', 'O']);
  const refused = (pattern: RegExp, ...examples: RawExample[]) =>
    assert.throws(
      () => names(...examples),
      (error: GraftError) => error.code === 'invalid_labels' && pattern.test(error.message),
    );
  refused(/line 1 has a name and line 3 a number/, classified(1, 'x', 'a'), classified(3, 'x', 0));
  refused(/the same label/, classified(1, 'x', 'a'), classified(2, 'x', 'a'));
  refused(/a label is 20000: numbers count the classes/, classified(1, 'x', 20000), classified(2, 'x', 1));
});

test("a head's own classes are kept where they fit the data", () => {
  const collector = new LabelCollector();
  collector.add(classified(1, 'x', 'b'));
  collector.add(classified(2, 'x', 'a'));
  assert.deepEqual(collector.namesFor(['c', 'b', 'a']), ['c', 'b', 'a']);
  assert.deepEqual(collector.namesFor(['a', 'c']), ['a', 'b']);
  assert.deepEqual(collector.namesFor(null), ['a', 'b']);
});

test('data of another task is refused, both named', () => {
  checkFormat('SEQ_CLS', 'classification');
  assert.throws(
    () => checkFormat('SEQ_CLS', 'chat'),
    (error: GraftError) =>
      error.code === 'data_unfit_for_task' &&
      error.message ===
        'task_type SEQ_CLS learns from lines of {"text", "label"} or {"text", "labels"}, but the file has {"messages"}',
  );
});

const layout: SequenceLayout = { virtualTokens: 2, vocabularySize: 1000, firstPosition: 0, pooling: 'mean' };

test('a sequence carries its label at its first or last position, virtual tokens counted', () => {
  const examples = tokenizeExamples(tokenizer, [classified(1, 'A bent wheel', 1), classified(2, 'x', 0)], {
    maxSeqLength: 64,
    classOf,
  });
  const plan = planBatches({
    examples: examples.map((example) => sizeOf(example, { virtualTokens: layout.virtualTokens })),
    batchSize: 2,
    accumulation: 1,
    epochs: 1,
    seed: 1,
    packing: true,
    maxSteps: null,
  });
  for (const pooling of ['first', 'last'] as const) {
    const batch = fillBatch(plan, examples, 0, 0, { ...layout, pooling });
    for (const [k, { example, row, offset }] of plan.micro(0, 0).entries()) {
      const { ids } = examples[example]!.sequences[0]!;
      const start = row * plan.shape.tokens + offset;
      const whole = [1000, 1001, ...ids];
      assert.deepEqual([...batch.ids.subarray(start, start + whole.length)], whole);
      assert.equal(batch.labelPositions[k], pooling === 'first' ? start : start + whole.length - 1);
      assert.equal(batch.labelIds[k], examples[example]!.label);
    }
    assert.equal(batch.labelCount, 2);
    assert.equal(
      batch.tokenCount,
      examples.reduce((sum, { tokens }) => sum + tokens, 0),
    );
  }
});

test('texts to embed are packed apart, and each position knows the vector that it belongs to', () => {
  const texts = [
    ['A bent wheel', 'x'],
    ['The courier left', 'A wheel', 'user'],
    ['ab', 'A bent wheel at the door'],
  ];
  const raw = texts.map((each, i): RawExample => ({ format: 'pairs', line: i + 1, texts: each }));
  const examples = tokenizeExamples(tokenizer, raw, { maxSeqLength: 64 });
  const plan = planBatches({
    examples: examples.map((example) => sizeOf(example)),
    batchSize: 3,
    accumulation: 1,
    epochs: 1,
    seed: 1,
    packing: true,
    maxSteps: null,
  });
  assert.equal(plan.shape.sequences, 3);
  for (const pooling of ['first', 'last', 'mean'] as const) {
    const batch = fillBatch(plan, examples, 0, 0, { ...layout, virtualTokens: 0, pooling });
    assert.equal(batch.labelCount, 3);
    const { labels } = plan.shape;
    const slots = new Map<number, number>(); // example → its number in the batch
    for (const { example, part, row, offset } of plan.micro(0, 0)) {
      const { ids } = examples[example]!.sequences[part]!;
      const start = row * plan.shape.tokens + offset;
      const positions = Array.from(ids, (_, t) => start + t);
      const [from, to] =
        pooling === 'mean' ? [0, ids.length] : pooling === 'first' ? [0, 1] : [ids.length - 1, ids.length];
      const vectors = new Set(positions.slice(from, to).map((at) => batch.poolVectors[at]!));
      assert.equal(vectors.size, 1);
      const [vector] = vectors;
      assert.equal(Math.floor(vector! / labels), part);
      assert.equal(slots.get(example) ?? vector! % labels, vector! % labels);
      slots.set(example, vector! % labels);
      const weights = positions.map((at) => batch.poolWeights[at]!);
      assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-6);
    }
    assert.deepEqual([...slots.values()].sort(), [0, 1, 2]);
    const nowhere = [...batch.segments.keys()].filter((at) => batch.segments[at] === 0);
    assert.ok(nowhere.every((at) => batch.poolVectors[at] === 3 * labels && batch.poolWeights[at] === 0));
  }
});

test('an encoder-decoder reads the input whole and learns the target and its end from its start token on', () => {
  const options = { maxSeqLength: 64, decoderStart: 7 };
  const pair: RawExample = { format: 'text_target', line: 3, text: 'A bent wheel', target: 'good' };
  const [example] = tokenizeExamples(tokenizer, [pair], options);
  const { ids, input, targets } = example!.sequences[0]!;
  const target = tokenizer.encode('good');
  assert.deepEqual([...input!], tokenizer.encode('A bent wheel'));
  assert.deepEqual([...targets!], target);
  assert.deepEqual([...ids], [7, ...target.slice(0, -1)]);
  assert.equal(example!.tokens, input!.length + target.length);

  const prompt: RawExample = {
    format: 'prompt_completion',
    line: 3,
    prompt: 'A bent wheel',
    completion: 'good',
  };
  assert.deepEqual(tokenizeExamples(tokenizer, [prompt], options), [example]);

  const long = { ...pair, text: 'wheel '.repeat(64) };
  assert.throws(() => tokenizeExamples(tokenizer, [pair, long], options), /line 3 has \d+ tokens; the limit/);
  const silent = tokenizeExamples(tokenizer, [{ ...pair, target: ' ' }], options)[0]!;
  assert.ok(silent.sequences[0]!.targets!.length > 0);
  // A tokenizer without an end token.
  assert.throws(
    () => tokenizeExamples(load(), [{ ...pair, target: '' }], options),
    (error: GraftError) =>
      error.code === 'example_empty' && /line 3 has no target tokens: its target, ""/.test(error.message),
  );
});

test('a token beyond the embedding table is an error of its line, wherever it stands', () => {
  const known = Math.max(...tokenizer.encode('A bent wheel'));
  const vocabularySize = known + 1;
  const beyond = 'A <new> wheel';
  const added = load({
    added_tokens: [
      ...tokenizerJson.added_tokens,
      { id: 9999, content: '<new>', special: false, normalized: false, lstrip: false, rstrip: false },
    ],
  });
  assert.ok(added.encode(beyond).includes(9999));
  const options = { maxSeqLength: 64, decoderStart: 1, classOf, vocabularySize: 9999 };
  const faulty: RawExample[][] = [
    [{ format: 'text', line: 2, text: beyond }],
    [{ format: 'prompt_completion', line: 2, prompt: beyond, completion: 'good' }],
    [{ format: 'text_target', line: 2, text: 'A', target: 'the <new>' }],
    [classified(2, beyond, 0)],
    [{ ...tagged(['A', '<new>'], [0, 1]), line: 2 }],
    [{ format: 'pairs', line: 2, texts: ['A', beyond] }],
  ];
  for (const examples of faulty)
    assert.throws(
      () => tokenizeExamples(added, examples, options),
      (error: GraftError) =>
        error.code === 'invalid_token_id' &&
        /^line 2 has the token "\s?<new>" with id 9999, which the base model does not know: its embedding table has 9999 rows/.test(
          error.message,
        ),
      JSON.stringify(examples),
    );
  // A causal model's last token is only predicted, but that prediction also needs a row of the head.
  assert.throws(
    () => tokenizeExamples(added, [{ format: 'text', line: 1, text: 'A <new>' }], options),
    /line 1 has the token/,
  );
  assert.equal(
    tokenizeExamples(tokenizer, [classified(1, 'A bent wheel', 1)], { ...options, vocabularySize }).length,
    1,
  );
});
