// Tests of reports about chats: messages, tools, roles and weights of tokens; and of reports about the lengths of any examples.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { loadTokenizer } from '../../text/index.ts';
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

/** The text of the tokens of each role, in order. */
function runs(
  found: Awaited<ReturnType<typeof report>>,
  example = 0,
): [role: string | null, text: string, weight: number][] {
  const all: [string | null, string, number][] = [];
  for (const { role, text, weight } of found.tokens!.preview[example]!.sequences[0]!.tokens) {
    const last = all.at(-1);
    if (last?.[0] === role && last[2] === weight) last[1] += text;
    else all.push([role, text, weight]);
  }
  return all;
}

const system = { role: 'system', content: 'Be kind.' };
const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string, weight?: number) => ({
  role: 'assistant',
  content,
  ...(weight === undefined ? {} : { weight }),
});

test('each token of a chat has its role, and targets their weight', async () => {
  const found = await report([
    {
      weight: 2,
      messages: [
        system,
        user('Is it red?'),
        assistant('No?', 0),
        user('a'),
        assistant('ok', 0.3),
        user('s'),
        assistant('s'),
      ],
    },
  ]);
  assert.deepEqual(runs(found), [
    ['template', 'system: ', 0],
    ['system', 'Be kind.', 0],
    ['template', '</s>user: ', 0],
    ['user', 'Is it red?', 0],
    ['template', '</s>assistant: ', 0],
    ['assistant', 'No?', 0],
    ['template', '</s>user: ', 0],
    ['user', 'a', 0],
    ['template', '</s>assistant: ', 0],
    ['assistant', 'ok</s>', 0.6],
    ['template', 'user: ', 0],
    ['user', 's', 0],
    ['template', '</s>assistant: ', 0],
    ['assistant', 's</s>', 2],
  ]);
  const { by_role, total, learnt } = found.tokens!;
  assert.deepEqual(
    by_role!.find(({ role }) => role === 'assistant'),
    { role: 'assistant', tokens: 3 + 3 + 2, learnt: 5 },
  );
  type ByRole = NonNullable<typeof by_role>[number];
  const sum = (count: (each: ByRole) => number) => by_role!.reduce((all, each) => all + count(each), 0);
  assert.deepEqual([sum((each) => each.tokens), sum((each) => each.learnt)], [total, learnt]);
  assert.equal(found.tokens!.preview[0]!.weight, 2);
  assert.deepEqual(found.weights, { count: 1, zero: 0 });
});

test('messages, tools and calls are counted, also without a model', async () => {
  const tool = (name: string) => ({ type: 'function', function: { name } });
  const call = (name: string) => ({ id: name, type: 'function', function: { name, arguments: '{}' } });
  const calling = { role: 'assistant', content: null, tool_calls: [call('find')] };
  const lines = [
    {
      tools: [tool('find'), tool('book')],
      messages: [user('a'), calling, { role: 'tool', tool_call_id: 'find', content: 'b' }, assistant('c')],
    },
    { tools: [tool('find')], messages: [system, user('b'), assistant('d')] },
    { messages: [user('c'), assistant('e', 0), user('d'), assistant('f')] },
  ];
  const { chats, tokens, weights } = await report(lines, null);
  assert.equal(tokens, null);
  assert.deepEqual(weights, { count: 0, zero: 0 });
  assert.deepEqual(chats, {
    messages: [
      { role: 'user', count: 4 },
      { role: 'assistant', count: 5 },
      { role: 'tool', count: 1 },
      { role: 'system', count: 1 },
    ],
    trained_messages: 4,
    with_tools: 2,
    split: null,
    tool_calls: 1,
    tools: [
      { name: 'find', examples: 2, calls: 1 },
      { name: 'book', examples: 1, calls: 0 },
    ],
  });
});

/** Like Qwen 3's: reasoning only in the last turn. */
const lookingAhead = `{% for m in messages %}{{ m.role ~ ': ' }}{% if loop.last and m.reasoning_content %}{{ '[' ~ m.reasoning_content ~ ']' }}{% endif %}{{ m.content ~ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}`;

test('conversations that the template makes several examples of, and the reasoning that it drops', async () => {
  const tokenizer = loadTokenizer({
    tokenizerJson: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    chatTemplate: lookingAhead,
  });
  const thoughtful = (content: string, weight = 1) => ({
    ...assistant(content, weight),
    thinking: `So ${content}`,
  });
  const lines = [
    { messages: [user('a'), thoughtful('b'), user('c'), thoughtful('d')] },
    { messages: [user('a'), thoughtful('b', 0), user('c'), thoughtful('d')] },
    { messages: [user('a'), thoughtful('b')] },
    { messages: [user('a'), thoughtful('b'), user('c'), thoughtful('d'), user('e'), thoughtful('f')] },
  ];
  const { chats, tokens, examples } = await report(lines, { ...model, tokenizer });
  assert.equal(examples, 4);
  assert.deepEqual(chats!.split, { count: 2, examples: 5 });
  assert.deepEqual(
    tokens!.preview.map(({ line, dropped_reasoning }) => [line, dropped_reasoning]),
    [
      [1, []],
      [1, [1]],
      [2, [1]],
    ],
  );
  const whole = await report(lines);
  assert.deepEqual(whole.chats!.split, { count: 0, examples: 0 });
});

test('the tools of a file are counted in bounded memory, however many it has', async () => {
  const lines = Array.from({ length: 30 }, (_, i) => ({
    tools: Array.from({ length: 100 }, (_, t) => ({
      type: 'function',
      function: { name: `tool_${i}_${t}` },
    })),
    messages: [user('a'), assistant('b')],
  }));
  const { chats } = await report(lines, null);
  assert.ok(chats!.tools.length <= 100);
  assert.ok(chats!.tools.every(({ name }) => name.length <= 200));
});

test('the ten longest examples, and how many each limit of length would cut', async () => {
  const lengths = Array.from({ length: 40 }, (_, i) => 3 + ((i * 7) % 40));
  const { tokens, chats } = await report(lengths.map((length) => ({ text: 'x'.repeat(length) })));
  assert.equal(chats, null);
  assert.equal(tokens!.by_role, null);
  const { longest, lengths: summary } = tokens!;
  // Each text has one token more: its end.
  assert.deepEqual(
    longest.map((each) => each.tokens),
    [43, 42, 41, 40, 39, 38, 37, 36, 35, 34],
  );
  for (const { line, tokens } of longest) assert.equal(lengths[line - 1]! + 1, tokens);
  for (const { to, longer } of summary!.histogram)
    assert.equal(longer, lengths.filter((length) => length + 1 > to).length, `over ${to}`);
  assert.equal(summary!.histogram.at(-1)!.longer, 0);
});

test('lines of weight 0 are counted, and have no tokens; a line that differs only by its weight is a duplicate', async () => {
  const found = await report([{ text: 'ab' }, { text: 'ab', weight: 0 }, { text: 'abc', weight: 3 }]);
  assert.deepEqual(found.weights, { count: 2, zero: 1 });
  assert.deepEqual([found.examples, found.duplicates.count, found.tokens!.total], [3, 1, 3 + 4]);
  assert.deepEqual(
    found.tokens!.preview.map(({ line, weight }) => [line, weight]),
    [
      [1, 1],
      [3, 3],
    ],
  );
  assert.deepEqual(runs(found, 1), [
    [null, 'a', 0],
    [null, 'bc</s>', 3],
  ]);
});

test('a chat that makes contents hard to find is reported soon', async () => {
  // Every content but the last is also the beginning of all that follow.
  const messages = Array.from({ length: 4000 }, (_, i) =>
    i % 2 === 0 ? user('a'.repeat(1 + (i % 60))) : assistant('a'.repeat(61), 0),
  );
  messages.push(user('end'), assistant('ok'));
  const start = performance.now();
  const { tokens } = await report([{ messages }], { ...model, maxSeqLength: null });
  assert.ok(performance.now() - start < 20_000);
  assert.ok(tokens!.by_role!.some(({ role }) => role === 'user'));
});
