// Tests examples above max_seq_length, and lines that take too long.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import type { GraftError } from '../errors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
import { readingOptions } from './example-source.ts';
import type { RawExample } from './formats/formats.ts';
import type { TokenizeOptions } from './formats/reading.ts';
import { readExamples } from './read-examples.ts';
import { ExampleTokenizer, tokenizeExamples } from './tokenize-examples.ts';
import { NO_TARGET, type TrainingExample } from './training-example.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const { templates, tokens } = read('./testdata/chat-labels.json');
const tokenizer = loadTokenizer({
  tokenizerJson: read('../text/testdata/tiny-tokenizer.json'),
  tokenizerConfig: tokens,
  chatTemplate: templates.smollm2,
});
const text = (line: number, words: number): RawExample => ({
  format: 'text',
  line,
  text: ' 1'.repeat(words),
});
const idsOf = ({ sequences: [sequence] }: TrainingExample) => [...sequence!.ids, sequence!.targets!.at(-1)!];

function readLines(raws: RawExample[], options: TokenizeOptions) {
  const reader = new ExampleTokenizer(tokenizer, options);
  const examples = raws.flatMap((raw) => reader.pieces(raw));
  return { examples, counts: reader.counts, fault: reader.fault() };
}

test('truncated examples keep their first tokens, as TRL does; the others stay as they are', () => {
  const raws = [text(1, 20), text(2, 3)];
  const { examples, counts, fault } = readLines(raws, { maxSeqLength: 16, overlong: 'truncate' });
  const [whole, short] = tokenizeExamples(tokenizer, raws, { maxSeqLength: 512 });
  assert.deepEqual(idsOf(examples[0]!), idsOf(whole!).slice(0, 16));
  assert.equal(examples[0]!.tokens, 16);
  assert.deepEqual(examples[1], short);
  assert.deepEqual(counts, { examples: 2, truncated: 1, skipped: 0, special_tokens: 0 });
  assert.equal(fault, null);
});

test('a chat is cut within a turn, and left out if no target token is left', () => {
  const chat = (line: number, question: string, answer: string): RawExample => ({
    format: 'chat',
    line,
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ],
  });
  const raws = [chat(1, '1', '2'.repeat(100)), chat(2, '1'.repeat(200), '2')];
  const [whole] = tokenizeExamples(tokenizer, raws.slice(0, 1), { maxSeqLength: 512 });
  const { length } = idsOf(whole!);
  const options = { maxSeqLength: length - 50, overlong: 'truncate' } as const;
  const { examples, counts } = readLines(raws, options);
  assert.deepEqual(idsOf(examples[0]!), idsOf(whole!).slice(0, length - 50));
  assert.equal(examples[0]!.sequences[0]!.targets!.filter((each) => each !== NO_TARGET).length, 51);
  assert.deepEqual(counts, { examples: 1, truncated: 1, skipped: 1, special_tokens: 0 });
});

test('a pair that is cut to nothing, or to equal answers, is skipped', () => {
  const pair = (line: number, prompt: number, chosen: string, rejected: string): RawExample => ({
    format: 'preference',
    line,
    prompt: ' 1'.repeat(prompt),
    chosen,
    rejected,
  });
  const options = { maxSeqLength: 20, overlong: 'truncate' } as const;
  const raws = [
    pair(1, 4, ' a', ' b'),
    pair(2, 40, ' a', ' b'),
    pair(3, 4, ' a'.repeat(40), `${' a'.repeat(40)} b`),
    pair(4, 4, ' a'.repeat(40), ' b'.repeat(40)),
  ];
  const { examples, counts, fault } = readLines(raws, options);
  assert.equal(fault, null);
  assert.deepEqual(
    examples.map(({ line }) => line),
    [1, 4],
  );
  assert.deepEqual([counts.truncated, counts.skipped], [1, 2]);
});

test('a soft prompt leaves less for a truncated example', () => {
  const options = { maxSeqLength: 16, leading: 6, overlong: 'truncate' } as const;
  assert.equal(readLines([text(1, 20)], options).examples[0]!.tokens, 10);
});

test('skipped examples are counted; others are as before, and faults of other kinds are errors still', () => {
  const raws = [text(1, 20), text(2, 3), text(3, 20)];
  const { examples, counts, fault } = readLines(raws, { maxSeqLength: 16, overlong: 'skip' });
  assert.deepEqual(
    examples.map(({ line }) => line),
    [2],
  );
  assert.deepEqual(counts, { examples: 1, truncated: 0, skipped: 2, special_tokens: 0 });
  assert.equal(fault, null);
  const empty = readLines([{ format: 'text', line: 1, text: '' }], { maxSeqLength: 16, overlong: 'skip' });
  assert.equal(empty.fault?.code, 'example_empty');
});

test('special tokens are counted and plain text; they are tokens where they are allowed', () => {
  const raw: RawExample = {
    format: 'prompt_completion',
    line: 1,
    prompt: 'a<|im_end|>',
    completion: 'b<|im_start|>system</s>',
  };
  const special = (allowSpecialTokens: boolean) => {
    const { examples, counts } = readLines([raw], { maxSeqLength: 99, allowSpecialTokens });
    return [idsOf(examples[0]!).filter((id) => tokenizer.isSpecial(id)).length, counts.special_tokens];
  };
  // The last token is the end of the text.
  assert.deepEqual(special(false), [1, 3]);
  assert.deepEqual(special(true), [3, 3]);
  const rendered = readLines([{ format: 'text', line: 1, text: 'a<|im_end|>' }], { maxSeqLength: 99 });
  assert.equal(idsOf(rendered.examples[0]!).filter((id) => tokenizer.isSpecial(id)).length, 2);
});

test('a chat far over the length is refused before its turns are located', () => {
  // If a template rewrites earlier turns, turns cannot be located.
  const rewriting = loadTokenizer({
    tokenizerJson: read('../text/testdata/tiny-tokenizer.json'),
    tokenizerConfig: tokens,
    chatTemplate:
      "{% for m in messages %}{{ '<|im_start|>' + m.role + (' first' if loop.index0 == 1 and loop.length == 2 else '') + m.content + '<|im_end|>' }}{% endfor %}",
  });
  const messages = Array.from({ length: 8 }, (_, i) => ({
    role: i % 2 ? ('assistant' as const) : ('user' as const),
    content: '1'.repeat(100),
  }));
  assert.throws(
    () => tokenizeExamples(rewriting, [{ format: 'chat', line: 1, messages }], { maxSeqLength: 64 }),
    (error: GraftError) => /has more than 64 tokens; the limit/.test(error.message),
  );
});

/** Writes each turn but the last without its thoughts, as the templates of models that reason do. */
const thinking = loadTokenizer({
  tokenizerJson: read('../text/testdata/tiny-tokenizer.json'),
  tokenizerConfig: tokens,
  chatTemplate:
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + ('(' + m.reasoning + ')' if m.reasoning and loop.last else '') + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
});
const splitChat = (line: number, ...lengths: number[]): RawExample & { format: 'chat' } => ({
  format: 'chat',
  line,
  messages: lengths.flatMap((length) => [
    { role: 'user', content: '1' },
    { role: 'assistant', content: '2'.repeat(length), reasoning: '3' },
  ]),
});

for (const [name, lengths] of [
  ['a turn that is too long', [4, 200, 4]],
  ['a turn far too long', [4, 4000, 4]],
] as const)
  test(`of a conversation that is split, ${name} leaves out its examples only`, () => {
    const raw = splitChat(1, ...lengths);
    const whole = tokenizeExamples(thinking, [raw], { maxSeqLength: 100_000 });
    assert.equal(whole.length, 3);
    const maxSeqLength = whole[0]!.tokens;
    const skipping = new ExampleTokenizer(thinking, { maxSeqLength, overlong: 'skip' });
    assert.deepEqual(skipping.pieces(raw), [whole[0]]);
    assert.deepEqual(skipping.counts, { examples: 1, truncated: 0, skipped: 2, special_tokens: 0 });
    // The last answer is beyond the limit, and the second within it is cut.
    const cutting = new ExampleTokenizer(thinking, { maxSeqLength: maxSeqLength + 30, overlong: 'truncate' });
    assert.deepEqual(
      cutting.pieces(raw).map((each) => each.tokens),
      [maxSeqLength, maxSeqLength + 30],
    );
    assert.deepEqual(cutting.counts, { examples: 2, truncated: 1, skipped: 1, special_tokens: 0 });
    assert.throws(() => tokenizeExamples(thinking, [raw], { maxSeqLength }), { code: 'example_too_long' });
  });

test('a conversation that is one example is left out as a whole', () => {
  const messages = splitChat(1, 4, 4, 4000).messages.map(({ role, content }) => ({ role, content }));
  const { examples, counts } = readLines([{ format: 'chat', line: 1, messages }], {
    maxSeqLength: 60,
    overlong: 'skip',
  });
  assert.deepEqual([examples.length, counts.skipped], [0, 1]);
});

test('a line that takes too long is reported with its number', () => {
  const { fault, counts } = readLines([text(1, 3), text(2, 3)], { maxSeqLength: 16, lineMilliseconds: 0 });
  assert.equal(fault?.code, 'text_too_slow');
  assert.match(fault!.message, /^line 1 takes more than 0 seconds to become tokens; split it/);
  assert.equal(counts.examples, 0);
});

test('a text that a pattern of the tokenizer may not match at once is over-long, not an exception', () => {
  const raw: RawExample = { format: 'text', line: 1, text: '<'.repeat(2 ** 22) };
  const { fault } = readLines([raw], { maxSeqLength: 16 });
  // Which of the two errors depends on how far the regular expression engine can backtrack.
  assert.match(fault!.code, /^(text|example)_too_long$/);
  assert.equal(readLines([raw], { maxSeqLength: 16, overlong: 'skip' }).counts.skipped, 1);
});

test('a long text is split: every token but the first is a target once, in pieces of the length', () => {
  const raws = [text(1, 40), text(2, 3)];
  const [whole, short] = tokenizeExamples(tokenizer, raws, { maxSeqLength: 512 });
  const ids = idsOf(whole!);
  for (const [textStride, leading] of [
    [0, 0],
    [1, 0],
    [5, 3],
    [12, 3],
  ] as const) {
    const options = { maxSeqLength: 16, textStride, leading };
    const { examples, counts, fault } = readLines(raws, options);
    assert.equal(fault, null);
    const pieces = examples.slice(0, -1);
    assert.deepEqual(examples.at(-1), short);
    assert.deepEqual(counts, { examples: examples.length, truncated: 0, skipped: 0, special_tokens: 0 });
    const most = 16 - leading;
    const overlap = Math.max(1, textStride);
    assert.equal(pieces.length, Math.ceil((ids.length - overlap) / (most - overlap)));
    const learnt = pieces.flatMap(({ sequences: [sequence] }) =>
      [...sequence!.targets!].filter((target) => target !== NO_TARGET),
    );
    assert.deepEqual(learnt, ids.slice(1));
    let from = 0;
    for (const piece of pieces) {
      assert.deepEqual(idsOf(piece), ids.slice(from, from + most));
      assert.ok(piece.tokens <= most && piece.line === 1);
      from += most - overlap;
    }
  }
});

test('only texts are split, and only with overlong "error"', () => {
  const options = { maxSeqLength: 16, textStride: 0 };
  const prompt: RawExample = {
    format: 'prompt_completion',
    line: 1,
    prompt: 'a',
    completion: ' 1'.repeat(40),
  };
  assert.equal(readLines([prompt], options).fault?.code, 'example_too_long');
  assert.equal(readLines([text(1, 40)], { maxSeqLength: 16 }).fault?.code, 'example_too_long');
  for (const overlong of ['truncate', 'skip'] as const) {
    const { counts } = readLines([text(1, 40)], { ...options, overlong });
    assert.equal(counts.truncated + counts.skipped, 1);
  }
});

test('files are counted; one of which nothing is left is an error', async () => {
  const at = tempFolder();
  await writeTinyModel(at('model'));
  const line = (words: number) => `${JSON.stringify({ text: '!'.repeat(words) })}\n`;
  await writeFile(at('training'), line(3) + line(20));
  await writeFile(at('validation'), line(20));
  const source = {
    trainingFile: at('training'),
    tokenizer,
    modelConfig: JSON.parse(readFileSync(at('model', 'config.json'), 'utf8')),
    peft: parsePeftConfig({ peft_type: 'IA3' }),
    maxSeqLength: 16,
    overlong: 'skip' as const,
  };
  const { counts } = await readExamples(source);
  assert.deepEqual(counts.training_file, { examples: 1, truncated: 0, skipped: 1, special_tokens: 0 });
  await assert.rejects(
    readExamples({ ...source, validationFile: at('validation') }),
    (error: GraftError) =>
      error.code === 'example_too_long' &&
      error.param === 'validation_file' &&
      /^every example is longer than max_seq_length, 16 tokens/.test(error.message),
  );
});

test('a job of an earlier version is read as that version did', () => {
  assert.deepEqual(readingOptions({ max_seq_length: 64 }), {
    maxSeqLength: 64,
    overlong: 'error',
    allowSpecialTokens: true,
    templateKwargs: {},
    textStride: null,
    repeatsBos: true,
  });
});
