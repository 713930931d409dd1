import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { GraftError } from '../../errors.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { loadTokenizer } from '../../text/index.ts';
import { DistinctCounter } from './distinct-counter.ts';
import { LengthCounts } from './length-counts.ts';
import { createExampleReporter, type ExampleReport, type ReportedModel } from './report-examples.ts';

const at = tempFolder();
await writeTinyModel(at('model'));
const readJson = (name: string) => JSON.parse(readFileSync(at('model', name), 'utf8'));
const config = readJson('config.json');
const tokenizer = loadTokenizer({
  tokenizerJson: readJson('tokenizer.json'),
  tokenizerConfig: readJson('tokenizer_config.json'),
  chatTemplate: null,
});
const model: ReportedModel = { tokenizer, config, maxSeqLength: 20 };

async function report(file: string, of: ReportedModel | null = model, size = 1000): Promise<ExampleReport> {
  const reporter = createExampleReporter(of);
  const bytes = Buffer.from(file);
  for (let from = 0; from < bytes.length; from += size)
    await reporter.write(bytes.subarray(from, from + size));
  return await reporter.end();
}

/** The tokens, with those that are trained on in brackets. */
function shown({ tokens }: ExampleReport): string[] {
  return tokens!.preview.flatMap(({ sequences }) =>
    sequences.map((sequence) =>
      sequence.tokens.map(({ text, learnt }) => (learnt ? `[${text}]` : text)).join(''),
    ),
  );
}

test('a chat shows the assistant turns with their ends as targets, and no turn of weight 0', async () => {
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'no', weight: 0 },
    { role: 'user', content: 'ä' },
    { role: 'assistant', content: 'ok' },
  ];
  const found = await report(JSON.stringify({ messages }));
  assert.deepEqual(shown(found), ['user: hi</s>assistant: no</s>user: ä</s>assistant: [o][k][</s>]']);
  assert.equal(found.tokens!.learnt, 3);
  assert.equal(found.tokens!.total, found.tokens!.preview[0]!.sequences[0]!.tokens.length);
  assert.equal(found.tokens!.task, 'CAUSAL_LM');
});

test('a character of several tokens is the text of its last token, and none where it is cut off', async () => {
  const texts = async (text: string) =>
    (await report(JSON.stringify({ text }))).tokens!.preview[0]!.sequences[0]!.tokens.map(
      (token) => token.text,
    );
  assert.deepEqual(await texts('a🚲é'), ['a', '', '', '', '🚲', '', 'é', '</s>']);
  assert.equal((await texts('\ufffd')).join(''), '\ufffd</s>');
  assert.deepEqual((await texts(`${'x'.repeat(510)}🚲`)).slice(-3), ['x', '', '']);
});

test('prompts are no targets; completions and texts are, except for the first token, which nothing predicts', async () => {
  assert.deepEqual(shown(await report('{"prompt":"ab","completion":"cd"}')), ['ab[c][d][</s>]']);
  assert.deepEqual(shown(await report('{"text":"abc"}')), ['a[b][c][</s>]']);
});

test('lines, lengths, what is too long and what repeats are counted, however the bytes are cut', async () => {
  const line = (text: string) => JSON.stringify({ text });
  const file = [line('abc'), '', line('x'.repeat(30)), line('abc'), line('abcd'), line('x'.repeat(19))].join(
    '\n',
  );
  const whole = await report(file);
  assert.deepEqual([whole.lines, whole.examples, whole.format], [6, 5, 'text']);
  assert.deepEqual(whole.duplicates, { count: 1, exact: true, listed: [{ line: 4, first_line: 1 }] });
  const { total, learnt, lengths, too_long, max_seq_length } = whole.tokens!;
  // Each example also has the end-of-text token.
  assert.deepEqual([total, learnt], [4 + 31 + 4 + 5 + 20, 3 + 30 + 3 + 4 + 19]);
  assert.deepEqual([lengths!.min, lengths!.max, lengths!.p50, lengths!.p90], [4, 31, 5, 31]);
  assert.equal(max_seq_length, 20);
  assert.deepEqual(too_long, { count: 1, listed: [{ line: 3, tokens: 31 }] });
  assert.equal(
    lengths!.histogram.reduce((sum, { examples }) => sum + examples, 0),
    5,
  );
  for (const size of [1, 7, 64]) assert.deepEqual(await report(file, model, size), whole);
  assert.equal((await report(`${file}\n`)).lines, 6);
});

test('special tokens in content are counted by line, and shown as the plain text that they are', async () => {
  const chat = (content: string) =>
    JSON.stringify({
      messages: [
        { role: 'user', content },
        { role: 'assistant', content: 'ok' },
      ],
    });
  const { tokens } = await report([chat('hi'), chat('a</s>b<s>'), chat('</s>')].join('\n'));
  assert.deepEqual(tokens!.special_tokens, {
    count: 3,
    listed: [
      { line: 2, count: 2 },
      { line: 3, count: 1 },
    ],
  });
  const [sequence] = tokens!.preview[1]!.sequences;
  assert.equal(sequence!.tokens.filter(({ text }) => text === '</s>').length, 2);
  assert.equal((await report('{"text":"</s>"}')).tokens!.special_tokens.count, 0);
});

test('bad lines are listed by fault, each with the numbers of its lines, and all are counted', async () => {
  const small = { ...model, config: { ...config, vocab_size: 100 } };
  const found = await report('{"text":"!!"}\nnope\n{"text":"zz"}\n{"prompt":"a"}\n', small);
  assert.deepEqual(
    found.bad_lines.listed.map(({ line }) => line),
    [1, 2, 3, 4],
  );
  assert.match(
    found.bad_lines.listed[2]!.message,
    /has the token "z" with id 122, which the base model does not/,
  );
  assert.match(found.bad_lines.listed[3]!.message, /"completion" must be a string/);
  const many = await report('{"text":1}\n'.repeat(1234));
  const [fault, ...others] = many.bad_lines.listed;
  assert.deepEqual(
    [many.bad_lines.count, fault!.line, fault!.count, fault!.lines, others],
    [1234, 1, 1234, [[1, 1234]], []],
  );
  assert.deepEqual([many.format, many.examples, many.tokens], [null, 0, null]);
  const evil = await report(`{"text":"a","label":"${'\\u0000'.repeat(3)}"}\n\0\n`);
  assert.equal(evil.bad_lines.count, 2);
  assert.ok(evil.bad_lines.listed.every(({ message }) => !message.includes('\0')));
});

test('a model that cannot learn from such lines says so; without a model tokens are not counted', async () => {
  await assert.rejects(
    () => report('{"text":"a","target":"b"}'),
    (error: GraftError) => error.code === 'unsupported_task',
  );
  const { tokens, ...rest } = await report('{"text":"a","target":"b"}', null);
  assert.equal(tokens, null);
  assert.deepEqual([rest.format, rest.examples], ['text_target', 1]);
});

test('classes are shown, and labels of words where the word has its first token', async () => {
  const found = await report('{"text":"ab","label":"good"}');
  assert.equal(found.tokens!.preview[0]!.label, 'good');
  assert.deepEqual([found.tokens!.learnt, found.tokens!.task], [null, 'SEQ_CLS']);
  const tagged = await report('{"tokens":["ab","c"],"labels":["X",-100]}');
  assert.match(shown(tagged)[0]!, /^\[a\]b c$/);
  assert.equal(tagged.tokens!.learnt, 1);
});

test('a preview shows three examples and the first 512 tokens of each', async () => {
  const found = await report(`${JSON.stringify({ text: 'y'.repeat(5000) })}\n`.repeat(5));
  assert.equal(found.tokens!.preview.length, 3);
  const [sequence] = found.tokens!.preview[0]!.sequences;
  assert.deepEqual([sequence!.tokens.length, sequence!.left_out], [512, 5001 - 512]);
});

describe('what is counted takes bounded room', () => {
  test('different texts are counted exactly up to a bound, and closely beyond it', async () => {
    const exact = new DistinctCounter({ maxSlots: 2 ** 12 });
    for (let i = 0; i < 2000; i++)
      for (let time = 0; time < 2; time++) exact.add(`text ${i}`, 2 * i + time + 1);
    assert.deepEqual([exact.count, exact.isExact], [2000, true]);
    assert.equal(exact.add('text 7', 9999), 15);

    const sampled = new DistinctCounter({ maxSlots: 2 ** 14 });
    for (let i = 0; i < 100_000; i++) sampled.add(`text ${i % 50_000}`, i + 1);
    assert.equal(sampled.isExact, false);
    assert.ok(Math.abs(sampled.count / 50_000 - 1) < 0.05, `${sampled.count}`);
  });

  test('lengths from one token to millions', async () => {
    const lengths = new LengthCounts();
    assert.equal(lengths.summary(), null);
    for (const length of [1, 1, 2, 5_000_000]) lengths.add(length);
    const { histogram, min, p50, p99 } = lengths.summary()!;
    assert.ok(histogram.length <= 24, `${histogram.length}`);
    assert.deepEqual([min, p50], [1, 1]);
    assert.ok(p99 > 4_000_000);
    assert.equal(lengths.over(1), 2);
    for (const [i, { from }] of histogram.slice(1).entries()) assert.equal(from, histogram[i]!.to + 1);
    const one = new LengthCounts();
    one.add(7);
    assert.deepEqual(one.summary()!.histogram, [{ from: 7, to: 7, examples: 1, longer: 0 }]);
  });
});
