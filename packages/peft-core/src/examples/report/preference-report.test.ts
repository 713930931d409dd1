// Tests of reports about preferences: pairs with the lengths of their answers, their preview, bad pairs, and judged answers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { loadTokenizer } from '../../text/index.ts';
import type { PreviewSequence } from './preview.ts';
import { createExampleReporter, type ReportedModel } from './report-examples.ts';

const at = tempFolder();
await writeTinyModel(at('model'));
const readJson = (name: string) => JSON.parse(readFileSync(at('model', name), 'utf8'));
const model: ReportedModel = {
  tokenizer: loadTokenizer({
    tokenizerJson: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    chatTemplate: null,
  }),
  config: readJson('config.json'),
  maxSeqLength: 200,
};

async function report(lines: object[], of: ReportedModel | null = model) {
  const reporter = createExampleReporter(of);
  await reporter.write(Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')));
  return await reporter.end();
}

const pair = (chosen: string, rejected: string, prompt = 'Why?') => ({ prompt, chosen, rejected });
const judged = (label: boolean, i: number) => ({ prompt: 'Why?', completion: ` ${i}`, label });
const judgements = (desirable: number, undesirable: number) => [
  ...Array.from({ length: desirable }, (_, i) => judged(true, i)),
  ...Array.from({ length: undesirable }, (_, i) => judged(false, i)),
];
/** Role, all text, and the text of the tokens that are trained on. */
const shown = ({ role, tokens }: PreviewSequence) => [
  role,
  tokens.map(({ text }) => text).join(''),
  tokens.map(({ text, learnt }) => (learnt ? text : '')).join(''),
];

test('pairs are counted, and how many have the longer answer chosen', async () => {
  const lines = [pair(' abcd', ' a'), pair(' b', ' abc'), pair(' c', ' d'), pair(' abcde', ' x')];
  const { pairs, judgements, chats, tokens } = await report(lines);
  // A token per byte, and the end.
  const answers = { chosen: (6 + 3 + 3 + 7) / 4, rejected: (3 + 5 + 3 + 3) / 4 };
  assert.deepEqual(pairs, { count: 4, answers: { ...answers, chosen_longer: 2, rejected_longer: 1 } });
  assert.deepEqual([judgements, chats, tokens!.by_role], [null, null, null]);
  assert.equal(tokens!.learnt, 6 + 3 + 3 + 7 + 3 + 5 + 3 + 3);
  assert.deepEqual((await report(lines, null)).pairs, { count: 4, answers: null });
  assert.equal((await report([{ text: 'ab' }])).pairs, null);
});

test('a preview has the prompt once, and both answers with what is trained on', async () => {
  const { tokens } = await report([pair(' A 32.', ' A 3 or so.', 'Which tyre?')]);
  assert.deepEqual(tokens!.preview[0]!.sequences.map(shown), [
    ['prompt', 'Which tyre?', ''],
    ['chosen', ' A 32.</s>', ' A 32.</s>'],
    ['rejected', ' A 3 or so.</s>', ' A 3 or so.</s>'],
  ]);
});

test('the answers to a prompt of any length are shown, and characters of several tokens', async () => {
  const prompt = 'é'.repeat(600);
  const [example] = (await report([pair(`é${'a'.repeat(600)}`, 'éb', prompt)])).tokens!.preview;
  const [first, chosen, rejected] = example!.sequences;
  assert.deepEqual([first!.tokens.length, first!.left_out], [512, 2 * 600 - 512]);
  assert.deepEqual([chosen!.tokens.length, chosen!.left_out], [512, 2 + 600 + 1 - 512]);
  assert.deepEqual(shown(rejected!), ['rejected', 'éb</s>', 'éb</s>']);
});

test('pairs of chats have roles, and their tokens are counted by them', async () => {
  const message = (role: string, content: string) => ({ role, content });
  const prompt = [message('system', 'Be kind.'), message('user', 'Why?')];
  const line = { prompt, chosen: [message('assistant', 'So.')], rejected: [message('assistant', 'No idea')] };
  const { tokens } = await report([line]);
  const { by_role, total, learnt, preview } = tokens!;
  assert.deepEqual(preview[0]!.sequences.map(shown), [
    ['prompt', 'system: Be kind.</s>user: Why?</s>assistant: ', ''],
    ['chosen', 'So.</s>', 'So.</s>'],
    ['rejected', 'No idea</s>', 'No idea</s>'],
  ]);
  assert.deepEqual([...new Set(preview[0]!.sequences[2]!.tokens.map(({ role }) => role))], ['assistant']);
  assert.deepEqual(
    by_role!.find(({ role }) => role === 'assistant'),
    { role: 'assistant', tokens: 4 + 8, learnt: 4 + 8 },
  );
  const openAi = {
    input: { messages: prompt },
    preferred_output: line.chosen,
    non_preferred_output: line.rejected,
  };
  assert.deepEqual((await report([openAi])).tokens, tokens);
  type ByRole = NonNullable<typeof by_role>[number];
  const sum = (count: (each: ByRole) => number) => by_role!.reduce((all, each) => all + count(each), 0);
  assert.deepEqual([sum((each) => each.tokens), sum((each) => each.learnt)], [total, learnt]);
});

test('equal and empty answers are bad lines', async () => {
  const { pairs, bad_lines, examples } = await report([
    pair(' a', ' b'),
    pair(' a', ' a'),
    pair('', ' a'),
    pair(' a', ''),
    pair(' a', ' c'),
  ]);
  assert.deepEqual([pairs!.count, pairs!.answers!.chosen], [examples, 3]);
  assert.deepEqual(bad_lines, {
    count: 3,
    listed: [
      { line: 2, message: '"chosen" and "rejected" are the same' },
      { line: 3, message: '"chosen" is empty' },
      { line: 4, message: '"rejected" is empty' },
    ],
  });
});

test('judged answers are counted, with TRL’s ranges of weights where they are unbalanced', async () => {
  const of = async (desirable: number, undesirable: number) =>
    (await report(judgements(desirable, undesirable), null)).judgements;
  assert.deepEqual(await of(4, 2), {
    desirable: 4,
    undesirable: 2,
    suggested_weights: {
      desirable_weight: { from: 0.5, to: 0.67 },
      undesirable_weight: { from: 1.5, to: 2 },
    },
  });
  assert.deepEqual((await of(2, 8))!.suggested_weights, {
    desirable_weight: { from: 4, to: 5.32 },
    undesirable_weight: { from: 0.19, to: 0.25 },
  });
  for (const [desirable, undesirable] of [
    [4, 4],
    [133, 100],
    [3, 0],
    [0, 3],
  ] as const)
    assert.deepEqual(await of(desirable, undesirable), { desirable, undesirable, suggested_weights: null });
  const [first, , , , last] = (await report(judgements(2, 3))).tokens!.preview;
  assert.deepEqual([first!.label, first!.sequences.map(({ role }) => role)], ['desirable', ['text']]);
  assert.equal(last, undefined);
});
