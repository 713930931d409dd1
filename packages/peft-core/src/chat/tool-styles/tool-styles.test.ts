import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../random.ts';
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
  parallel?: boolean;
  isConstrained?: boolean;
}

function read(
  template: string,
  texts: readonly string[],
  { promptEnd = '', tools: own = tools, ...options }: Options = {},
) {
  const reader = createAnswerReader({ ...answerFormOf(template), tools: own, promptEnd, ...options });
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
});

test('arguments of a constrained answer arrive in pieces, after the name', () => {
  const form = answerFormOf(styles[0].template);
  const reader = createAnswerReader({ ...form, tools, promptEnd: '', isConstrained: true })!;
  const text = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>';
  const pieces = [...text]
    .flatMap((char) => reader.push(char))
    .flatMap((piece) => ('call' in piece ? [piece.call] : []));
  assert.match(pieces[0]!.id!, /^call_\w{24}$/);
  assert.equal(pieces.length, 1 + '{"city": "Paris"}'.length);
});

test('a call that never ends, and one that nests deep', () => {
  const { template } = styles[0];
  for (const text of [
    `<tool_call>${' '.repeat(200_000)}`,
    `<tool_call>{"name": "now", "arguments": {"a": ${'['.repeat(100_000)}`,
    '<tool_call>'.repeat(30_000),
    '<tool_call>{"name": "'.repeat(30_000),
  ])
    assert.equal(read(template, [text]).content, text);
  const nested = `<|tool_call_start|>[now(a=${'['.repeat(100_000)})]<|tool_call_end|>`;
  assert.equal(read(styles[4].template, [nested]).content, nested);
  const parameter = '<tool_call>\n<function=now>\n<parameter=a>\n';
  const endless = parameter + '</parameter>'.repeat(30_000) + parameter.repeat(2_000);
  assert.equal(read(styles[1].template, [endless]).content, endless);
});

const plain = (city: string) => ({ name: 'weather', arguments: { city } });

/** Calls whose arguments are JSON text, or several in one mark. */
const unusual = [
  {
    template: styles[0].template,
    texts: [
      '<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"Ulm\\"}"}\n{"name": "weather", "parameters": {"city": "Rom"}}</tool_call>',
      '<tool_call>[{"name": "weather", "arguments": {"city": "Ulm"}}, {"arguments": "{\\"city\\": \\"Rom\\"}", "name": "weather"}]</tool_call>',
    ],
  },
  {
    template: styles[1].template,
    texts: [
      '<tool_call>\n<function=weather>\n<parameter=city>\nUlm\n</parameter>\n</function>\n<function=weather>\n<parameter=city>Rom</parameter></function></tool_call>',
    ],
  },
  {
    template: styles[2].template,
    texts: [
      '[TOOL_CALLS][{"name": "weather", "arguments": "{\\"city\\": \\"Ulm\\"}"}, {"name": "weather", "arguments": {"city": "Rom"}}]',
      '[TOOL_CALLS]{"name": "weather", "arguments": {"city": "Ulm"}}[TOOL_CALLS]{"name": "weather", "arguments": {"city": "Rom"}}',
    ],
  },
  {
    template: styles[6].template,
    texts: ['<|tool_call>call:weather{city:<|"|>Ulm<|"|>}call:weather{city:<|"|>Rom<|"|>}<tool_call|>'],
  },
  {
    template: styles[7].template,
    texts: [
      '{"name": "weather", "parameters": "{\\"city\\": \\"Ulm\\"}"}\n{"name": "weather", "parameters": {"city": "Rom"}}',
      '[{"name": "weather", "parameters": {"city": "Ulm"}}, {"name": "weather", "parameters": {"city": "Rom"}}]',
    ],
  },
];

const parsedCalls = ({ calls }: Whole) =>
  calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) }));

test('arguments that are JSON text, and several calls in one mark', () => {
  for (const { template, texts } of unusual)
    for (const text of texts) {
      const whole = readEachWay(template, text);
      assert.deepEqual([whole.content, parsedCalls(whole)], ['', [plain('Ulm'), plain('Rom')]], text);
    }
});

test('one call where several are not allowed', () => {
  for (const { template, two } of styles) {
    const { calls, content } = readEachWay(template, two, { parallel: false });
    assert.deepEqual([calls.length, calls[0]!.name, content], [1, 'weather', ''], two);
    const reader = createAnswerReader({ ...answerFormOf(template), tools, promptEnd: '', parallel: false })!;
    reader.push(two.slice(0, 12));
    assert.equal(reader.isOver, false);
    reader.push(two.slice(12));
    reader.end();
    assert.equal(reader.isOver, true);
  }
});

test('large integers, floats and the order of names are as the answer has them', () => {
  const args = '{"10":12345678901234567890,"2":1.0,"days":1e3}';
  const values = args
    .slice(1, -1)
    .split(',')
    .map((each) => each.split(':') as [string, string]);
  const texts: [template: string, text: string][] = [
    [styles[0].template, `<tool_call>{"arguments": ${args}, "name": "now"}</tool_call>`],
    [styles[0].template, `<tool_call>{"name": "now", "arguments": ${args}}</tool_call>`],
    [
      styles[1].template,
      `<tool_call><function=now>${values.map(([name, value]) => `<parameter=${JSON.parse(name)}>\n${value}\n</parameter>`).join('')}</function></tool_call>`,
    ],
    [styles[2].template, `[TOOL_CALLS][{"name": "now", "arguments": ${args}}]`],
    [styles[3].template, `[TOOL_CALLS]now[ARGS]${args}`],
    [
      styles[4].template,
      `<|tool_call_start|>[now(${args.slice(1, -1).replaceAll('"', '').replaceAll(':', '=')})]<|tool_call_end|>`,
    ],
    [styles[6].template, `<|tool_call>call:now${args.replaceAll('"', '')}<tool_call|>`],
    [styles[7].template, `{"name": "now", "parameters": ${args}}`],
  ];
  for (const [template, text] of texts) {
    const { calls } = readEachWay(template, text);
    assert.equal(calls[0]?.arguments.replaceAll(' ', ''), args, text);
  }
});

test('the values of parameters have the types of their schema', () => {
  const parameters = {
    type: 'object',
    properties: {
      text: { type: 'string' },
      maybe: { type: ['string', 'null'] },
      whole: { type: 'integer' },
      on: { type: 'boolean' },
      list: { type: 'array' },
      choice: { enum: ['1', 'two'] },
      either: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/size' }] },
    },
    $defs: { size: { type: 'number' } },
  };
  const own: Tool[] = [{ type: 'function', function: { name: 'set', parameters } }];
  const readValue = (name: string, text: string) => {
    const answer = `<tool_call>\n<function=set>\n<parameter=${name}>\n${text}\n</parameter>\n</function>\n</tool_call>`;
    const { calls } = readEachWay(styles[1].template, answer, { tools: own });
    return calls[0]!.arguments.replace(/^\{"\w+": (.*)\}$/s, '$1');
  };
  const expected: [name: string, text: string, json: string][] = [
    ['text', 'True', '"True"'],
    ['text', '12', '"12"'],
    ['text', '"quoted"', '"\\"quoted\\""'],
    ['text', 'a < b </tag>\n\n<parameter', '"a < b </tag>\\n\\n<parameter"'],
    ['text', 'see </parameter> there', '"see </parameter> there"'],
    ['maybe', 'None', 'null'],
    ['maybe', 'null', 'null'],
    ['maybe', 'Nobody', '"Nobody"'],
    ['whole', '12345678901234567890', '12345678901234567890'],
    ['whole', 'many', '"many"'],
    ['on', 'True', 'true'],
    ['on', 'false', 'false'],
    ['list', "['a', True, None]", '["a",true,null]'],
    ['list', '[1, {"b": 2.0}]', '[1, {"b": 2.0}]'],
    ['choice', '1', '"1"'],
    ['either', 'None', 'null'],
    ['either', '2.50', '2.50'],
    ['unknown', 'False', 'false'],
    ['unknown', 'word', '"word"'],
    ['unknown', '{"a": 1}', '{"a": 1}'],
  ];
  for (const [name, text, json] of expected) assert.equal(readValue(name, text), json, `${name}: ${text}`);
});

describe('malformed calls', () => {
  const random = new Random(7, 'sampling');
  const below = (n: number) => Math.floor(random.uniform() * n);
  const without = (text: string) => text.replace(/[\s,;\]]/g, '');
  const marked = styles.filter(({ one }) => !one.startsWith('['));

  /** Texts that are no calls, and that no reader may need a later text to know. */
  const broken: Record<string, string[]> = {
    'tagged-json': [
      '<tool_call>{"name": "now", "arguments": {"a": nope}}</tool_call>',
      '<tool_call>{"name": "now", "arguments": {"a": "x</tool_call>',
      '<tool_call>\n{"name": "now", "arguments": [1]}\n</tool_call>',
      "<tool_call>{'name': 'now'}</tool_call>",
    ],
    'tagged-parameters': [
      '<tool_call>\n<function=now>\n<parameter=a>\n1\n</parameter>\nstray\n</function>\n</tool_call>',
      '<tool_call>\n<function=now>\n<parameters=a>',
      '<tool_call>{"name": "now"}</tool_call>',
    ],
    'listed-json': ['[TOOL_CALLS] [{"name": "now", "arguments": {"a": nope}}', '[TOOL_CALLS](x)'],
    pythonic: ['<|tool_call_start|>[now(a=)]<|tool_call_end|>', '<|tool_call_start|>now<|tool_call_end|>'],
    braces: ['<|tool_call>call:now{a:nope}<tool_call|>', '<|tool_call>now{}<tool_call|>'],
    'bare-json': ['{"name": "now", "parameters": {"a": nope}}', '{"name": "now", "parameters": [1]}'],
  };

  for (const { name, template, one, two } of marked)
    test(`${name}: each is content, and the next call is read: ${template.slice(0, 20)}`, () => {
      const call = one.replace('Let me see.', '').trim();
      for (let i = 0; i < 60; i++) {
        const parts = Array.from({ length: 1 + below(4) }, () => broken[name]![below(broken[name]!.length)]!);
        const at = below(parts.length + 1);
        const between = name === 'bare-json' ? '; ' : '\n';
        const text = [...parts.slice(0, at), call, ...parts.slice(at), two.trim()].join(between);
        const cuts = Array.from({ length: 3 }, () => below(text.length)).sort((a, b) => a - b);
        const pieces = [...cuts, text.length].map((to, j) => text.slice(cuts[j - 1] ?? 0, to));
        const whole = read(template, [text]);
        assert.deepEqual(read(template, pieces), whole, text);
        assert.deepEqual(read(template, [...text]), whole, text);
        assert.deepEqual(parsedCalls(whole), [weather, weather, now], text);
        assert.equal(without(whole.content), without(parts.join('')), text);
      }
    });

  for (const { name, template, one, two, malformed } of marked)
    test(`${name}: no word of a random text is lost: ${template.slice(0, 20)}`, () => {
      // Fields that are no part of a call's name and arguments may have any text.
      const plainTwo = two.replace(/, "id": "\d+"|"type": "function", |\[CALL_ID\]\d+/g, '');
      const sources = [one, plainTwo, ...malformed, ...broken[name]!];
      for (let i = 0; i < 400; i++) {
        let text = [1, 2, 3].map(() => sources[below(sources.length)]!).join(['', '\n', ' and '][below(3)]);
        for (let edits = below(3); edits > 0; edits--) {
          const at = below(text.length);
          text = text.slice(0, at) + text.slice(at + 1 + below(3));
        }
        const words = Array.from({ length: 1 + below(3) }, (_, word) => `w${word}w`);
        for (const word of words) {
          const at = below(text.length + 1);
          text = text.slice(0, at) + word + text.slice(at);
        }
        const whole = read(template, [text]);
        assert.deepEqual(read(template, [...text]), whole, text);
        for (const call of whole.calls) JSON.parse(call.arguments);
        const kept = whole.content + whole.calls.map((call) => call.name + call.arguments).join('');
        for (const word of words)
          if (text.includes(word)) assert.ok(kept.includes(word), `${word}: ${text}\n${kept}`);
      }
    });
});
