import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Tool } from '../message.ts';
import { createAnswerReader } from './answer-reader.ts';
import type { AnswerPiece } from './tool-style.ts';
import { answerFormOf } from './tool-styles.ts';

const tool = (name: string, properties: Record<string, unknown>): Tool => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties } },
});
const tools = [
  tool('weather', { city: { type: 'string' }, days: { type: 'integer' }, units: { type: 'object' } }),
  tool('now', {}),
];

interface Whole {
  content: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
}

/** Joins pieces as a client does. */
function joined(pieces: readonly AnswerPiece[]): Whole {
  const whole: Whole = { content: '', reasoning: '', calls: [] };
  for (const piece of pieces) {
    if ('content' in piece) whole.content += piece.content;
    else if ('reasoning' in piece) whole.reasoning += piece.reasoning;
    else if (piece.call.id === undefined) whole.calls[piece.call.index]!.arguments += piece.call.arguments;
    else {
      assert.equal(piece.call.index, whole.calls.length);
      assert.equal(piece.call.arguments, '');
      whole.calls.push({ name: piece.call.name!, arguments: '' });
    }
  }
  return whole;
}

interface Options {
  promptEnd?: string;
  tools?: readonly Tool[];
}

function read(
  template: string,
  texts: readonly string[],
  { promptEnd = '', tools: own = tools }: Options = {},
) {
  const reader = createAnswerReader({ ...answerFormOf(template), tools: own, promptEnd });
  assert.ok(reader, 'the template has no form');
  return joined([...texts.flatMap((text) => reader.push(text)), ...reader.end()]);
}

/** Reads a text whole, cut in two at every place, and character by character: all must be equal. */
function readEachWay(template: string, text: string, options: Options = {}): Whole {
  const whole = read(template, [text], options);
  for (let at = 1; at < text.length; at++)
    assert.deepEqual(read(template, [text.slice(0, at), text.slice(at)], options), whole, `cut at ${at}`);
  assert.deepEqual(read(template, [...text], options), whole);
  return whole;
}

const weather = { name: 'weather', arguments: { city: 'São "Paulo"', days: 3 } };
const now = { name: 'now', arguments: {} };

/** For each style: marks of a real template, and the answers that models with it write. */
const styles = [
  {
    name: 'tagged-json',
    template: `{{- '\\n<tool_call>\\n{"name": "' }}</tool_call>`,
    one: 'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "São \\"Paulo\\"", "days": 3}}\n</tool_call>',
    two:
      '<tool_call>\n{"name": "weather", "arguments": {"city": "São \\"Paulo\\"", "days": 3}}\n</tool_call>\n' +
      '<tool_call>\n{"arguments": {}, "name": "now"}\n</tool_call>',
    malformed: [
      '<tool_call>weather()</tool_call>',
      '<tool_call>{"name": 3}</tool_call>',
      'a <tool_call> b',
      '<tool_call>\n{"name": "weather"',
      '</tool_call> <tool',
    ],
  },
  {
    name: 'tagged-parameters',
    template: `<tool_call>\n<function=' + tool_call.name + '>\n<parameter=`,
    one: 'Let me see.\n\n<tool_call>\n<function=weather>\n<parameter=city>\nSão "Paulo"\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>',
    two:
      '<tool_call>\n<function=weather>\n<parameter=city>\nSão "Paulo"\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n' +
      '<tool_call>\n<function=now>\n</function>\n</tool_call>',
    malformed: [
      '<tool_call>{"name": "now"}</tool_call>',
      '<tool_call><function=now>stray</function></tool_call>',
      '<tool_call>\n<function=weather>\n<parameter=city>',
    ],
  },
  {
    name: 'listed-json',
    template: `{{- "[TOOL_CALLS][" }}`,
    one: 'Let me see.[TOOL_CALLS][{"name": "weather", "arguments": {"city": "São \\"Paulo\\"", "days": 3}}]',
    two: '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "São \\"Paulo\\"", "days": 3}}, {"name": "now", "arguments": {}, "id": "123456789"}]',
    malformed: ['[TOOL_CALLS]', '[TOOL_CALLS][]', '[TOOL_CALLS] (x)', '[TOOL_CALLS][{"name": 1}]', '[TOOL_'],
  },
  {
    name: 'listed-json',
    template: `[TOOL_CALLS]' + name + '[ARGS]' + arguments`,
    one: 'Let me see.[TOOL_CALLS]weather[ARGS]{"city": "São \\"Paulo\\"", "days": 3}',
    two: '[TOOL_CALLS]weather[ARGS]{"city": "São \\"Paulo\\"", "days": 3}[TOOL_CALLS]now[CALL_ID]123456789[ARGS]{}',
    malformed: ['[TOOL_CALLS]weather', '[TOOL_CALLS]weather[ARGS]3'],
  },
  {
    name: 'pythonic',
    template: '<|tool_call_start|>[',
    one: `Let me see.<|tool_call_start|>[weather(city='São "Paulo"', days=3)]<|tool_call_end|>`,
    two: `<|tool_call_start|>[weather(city="São \\"Paulo\\"", days=3), now()]<|tool_call_end|>`,
    malformed: [
      '<|tool_call_start|>[weather(3)]<|tool_call_end|>',
      '<|tool_call_start|>[]<|tool_call_end|>',
      '<|tool_call_start|>[now()',
      '<|tool_call_start|>now<|tool_call_end|> and <|tool_',
    ],
  },
  {
    name: 'pythonic',
    template: '[func_name1(params_name1=params_value1, params_name2=params_value2...), func_name2(params)]',
    one: `[weather(city='S\\u00e3o "Paulo"', days=3)]`,
    two: ` [weather(city='S\\xe3o "Paulo"', days=3), now()]\n`,
    malformed: ['[weather(city=', '[other()]', 'so [now()]', '[now() or not]'],
  },
  {
    name: 'braces',
    template: `{{- '<|tool_call>call:' + function['name'] + '{' -}}`,
    one: 'Let me see.<|tool_call>call:weather{city:<|"|>São "Paulo"<|"|>,days:3}<tool_call|>',
    two: '<|tool_call>call:weather{city:<|"|>São "Paulo"<|"|>,days:3}<tool_call|><|tool_call>call:now{}<tool_call|>',
    malformed: [
      '<|tool_call>weather{}<tool_call|>',
      '<|tool_call>call:weather{city:Paris}<tool_call|>',
      '<|tool_call>call:weather{',
    ],
  },
  {
    name: 'bare-json',
    template: `{{- '{"name": "' + tool_call.name + '", ' }}{{- '"parameters": ' }}`,
    one: '{"name": "weather", "parameters": {"city": "São \\"Paulo\\"", "days": 3}}',
    two: '<|python_tag|>{"name": "weather", "parameters": {"city": "São \\"Paulo\\"", "days": 3}}; {"type": "function", "name": "now", "parameters": {}}',
    malformed: [
      '{"name": "other", "parameters": {}}',
      '{"city": "Paris"}',
      '{"name": "weather", ',
      '<|python',
      'See {"name": "now", "parameters": {}}',
    ],
  },
] as const;

for (const { name, template, one, two, malformed } of styles)
  describe(`${name}: ${JSON.stringify(template.slice(0, 24))}`, () => {
    test('is found by its template', () => assert.equal(answerFormOf(template).style?.name, name));

    test('a call after content, wherever the text is cut', () => {
      const { content, reasoning, calls } = readEachWay(template, one);
      assert.equal(content, one.startsWith('Let') ? 'Let me see.' : '');
      assert.equal(reasoning, '');
      assert.deepEqual(
        calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })),
        [weather],
      );
    });

    test('two calls, wherever the text is cut', () => {
      const { content, calls } = readEachWay(template, two);
      assert.equal(content, '');
      assert.deepEqual(
        calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })),
        [weather, now],
      );
    });

    test('what is no call is content, and so is everything without tools', () => {
      for (const text of ['', ' Just\n\ntext. \n', ...malformed])
        assert.deepEqual(readEachWay(template, text), { content: text, reasoning: '', calls: [] }, text);
      assert.equal(createAnswerReader({ ...answerFormOf(template), tools: [], promptEnd: '' }), null);
    });
  });

describe('channels', () => {
  const template = `<|start|>assistant<|channel|>analysis<|message|>`;

  test('reasoning, a call and content, wherever the text is cut', () => {
    const text =
      '<|channel|>analysis<|message|>Look it up.<|end|><|start|>assistant<|channel|>commentary<|message|>One moment.<|end|>' +
      '<|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city":"Paris"}<|call|>';
    assert.deepEqual(readEachWay(template, text), {
      content: 'One moment.',
      reasoning: 'Look it up.',
      calls: [{ name: 'weather', arguments: '{"city":"Paris"}' }],
    });
    const other = ' to=functions.now<|channel|>commentary json<|message|>{}';
    assert.deepEqual(readEachWay(template, other).calls, [{ name: 'now', arguments: '{}' }]);
  });

  test('without tools, too, and of text without a header', () => {
    const text =
      '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>';
    const expected = { content: 'Yes.', reasoning: 'Hm.', calls: [] };
    assert.deepEqual(readEachWay(template, text, { tools: [] }), expected);
    assert.equal(readEachWay(template, 'no header').content, 'no header');
    const long = 'x'.repeat(2000);
    assert.equal(read(template, [...long]).content, long);
  });
});

describe('reasoning', () => {
  const template = `<think> </think> <tool_call>`;

  test('before content or a call, opened by the answer or by the prompt', () => {
    const call = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>';
    const calls = [{ name: 'now', arguments: '{}' }];
    assert.deepEqual(readEachWay(template, `<think>\nSo: <tool_call>\n</think>\n\n${call}`), {
      content: '',
      reasoning: 'So: <tool_call>',
      calls,
    });
    assert.deepEqual(readEachWay(template, `\nSo.\n</think>\n\n The answer.\n`, { promptEnd: '<think>\n' }), {
      content: 'The answer.\n',
      reasoning: 'So.',
      calls: [],
    });
    assert.deepEqual(readEachWay(template, '<think>\n\n</think>\n\nHello', { tools: [] }), {
      content: 'Hello',
      reasoning: '',
      calls: [],
    });
  });

  test('that was cut off, and marks elsewhere', () => {
    const none = { content: '', reasoning: '', calls: [] };
    assert.deepEqual(readEachWay(template, '<think>\nSo </th'), { ...none, reasoning: 'So </th' });
    assert.deepEqual(readEachWay(template, 'a <think>b</think>'), { ...none, content: 'a <think>b</think>' });
    assert.deepEqual(readEachWay(template, '<thi'), { ...none, content: '<thi' });
  });

  test('knows when it is over', () => {
    const reader = createAnswerReader({ ...answerFormOf(template), tools: [], promptEnd: '<think>\n' })!;
    assert.equal(reader.isReasoning, true);
    reader.push('So</thi');
    assert.equal(reader.isReasoning, true);
    reader.push('nk>');
    assert.equal(reader.isReasoning, false);
  });
});

test('arguments arrive in pieces, after the name', () => {
  const reader = createAnswerReader({ ...answerFormOf(styles[0].template), tools, promptEnd: '' })!;
  const text = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>';
  const pieces = [...text]
    .flatMap((char) => reader.push(char))
    .flatMap((piece) => ('call' in piece ? [piece.call] : []));
  assert.match(pieces[0]!.id!, /^call_\w{24}$/);
  assert.equal(pieces.length, 1 + '{"city": "Paris"}'.length);
});

test('a call that never ends, and arguments that are no JSON', () => {
  const { template } = styles[0];
  const endless = `<tool_call>${' '.repeat(200_000)}`;
  assert.deepEqual(read(template, [endless]), { content: endless, reasoning: '', calls: [] });
  const deep = `<tool_call>{"name": "now", "arguments": {"a": ${'['.repeat(100_000)}`;
  assert.equal(read(template, [deep]).calls[0]!.name, 'now');
  const broken = read(template, ['<tool_call>{"name": "now", "arguments": {"a": nope}}</tool_call>']);
  assert.equal(broken.calls.length, 1);
  assert.throws(() => JSON.parse(broken.calls[0]!.arguments));
  const nested = `<|tool_call_start|>[now(a=${'['.repeat(100_000)})]<|tool_call_end|>`;
  assert.equal(read(styles[4].template, [nested]).content, nested);
});
