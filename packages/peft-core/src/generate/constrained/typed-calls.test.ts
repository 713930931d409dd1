/** The grammars of required calls accept what their schema allows, as the template writes it, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAnswerReader } from '../../chat/tool-styles/answer-reader.ts';
import { answerFormOf } from '../../chat/tool-styles/tool-styles.ts';
import { loadGrammarLibrary } from './grammar-library.ts';
import { grammarText } from './grammar-text.ts';

const library = loadGrammarLibrary();
/** Qwen 3's coders write values as Python does, its later models as JSON. */
const taggedTemplate = (written: string) =>
  `{% for message in messages %}{% for call in message.tool_calls or [] %}<tool_call>\n<function={{ call.function.name }}>\n` +
  `{% for key, value in call.function.arguments|items %}<parameter={{ key }}>\n{{ ${written} }}\n</parameter>\n{% endfor %}</function>\n</tool_call>{% endfor %}{% endfor %}{# <function= <parameter= #}`;
const pythonTemplate = taggedTemplate('value | string');
const jsonTemplate = taggedTemplate('value if value is string else value | tojson');

const styles = {
  python: {
    template: pythonTemplate,
    write: (texts: readonly string[]) =>
      `<tool_call>\n<function=f>\n${texts.map((text) => `<parameter=a>\n${text}\n</parameter>\n`).join('')}</function>\n</tool_call>`,
  },
  json: { template: jsonTemplate, write: (texts: readonly string[]): string => styles.python.write(texts) },
  braces: {
    template: '<|tool_call>call:',
    write: (texts: readonly string[]) =>
      `<|tool_call>call:f{${texts.map((text) => `a:${text}`)}}<tool_call|>`,
  },
  pythonic: {
    template: '<|tool_call_start|>',
    write: (texts: readonly string[]) =>
      `<|tool_call_start|>[f(${texts.map((text) => `a=${text}`)})]<|tool_call_end|>`,
  },
};

interface Row {
  schema: unknown;
  /** Texts of the value, and what they are read as. */
  accepted: { [K in keyof typeof styles]?: Record<string, unknown> };
  refused: { [K in keyof typeof styles]?: readonly string[] };
}

const q = (text: string) => `<|"|>${text}<|"|>`;
const node = {
  type: 'object',
  properties: { next: { $ref: '#/$defs/node' }, at: { type: 'integer', minimum: 0 } },
  required: ['at'],
};

const rows: Record<string, Row> = {
  'a string may hold angle brackets': {
    schema: { type: 'string' },
    accepted: {
      python: {
        'if a < b: </b>\n\n<parameter </parameter': 'if a < b: </b>\n\n<parameter </parameter',
        '<': '<',
        '': '',
      },
      braces: { [q('a < b <|"| <<|')]: 'a < b <|"| <<|', [q('')]: '' },
      pythonic: { '"a < b\\n\\"c\\""': 'a < b\n"c"' },
    },
    refused: {
      python: ['a</parameter>b', '<<</parameter>'],
      braces: [q('a<|"|>b'), 'bare', '"a"'],
      pythonic: ['bare', '"a"b"'],
    },
  },
  'patterns count': {
    schema: { type: 'string', pattern: '^[a-z]{2}.[0-9]+$' },
    accepted: {
      python: { 'ab<12': 'ab<12' },
      braces: { [q('ab-1')]: 'ab-1' },
      pythonic: { '"ab-1"': 'ab-1' },
    },
    refused: { python: ['abc', 'ab\n12', ''], braces: [q('abc'), q('ab\n1')], pythonic: ['"abc"'] },
  },
  'lengths and forms of strings count': {
    schema: {
      anyOf: [
        { type: 'string', minLength: 2, maxLength: 3 },
        { type: 'string', format: 'date' },
      ],
    },
    accepted: {
      python: { 'a"': 'a"', '2026-12-02': '2026-12-02' },
      braces: { [q('abc')]: 'abc', [q('2026-12-02')]: '2026-12-02' },
      pythonic: { '"abc"': 'abc', '"2026-12-02"': '2026-12-02' },
    },
    refused: { python: ['a', 'abcd', '2026-13-02'], braces: [q('a'), q('2026-13-02')], pythonic: ['"a"'] },
  },
  'truth values and null are as the template writes them': {
    schema: { type: ['boolean', 'null'] },
    accepted: {
      python: { True: true, False: false, None: null },
      json: { true: true, false: false, null: null },
      braces: { true: true, null: null },
      pythonic: { True: true, None: null },
    },
    refused: {
      python: ['true', 'null'],
      json: ['True', 'None'],
      braces: ['True'],
      pythonic: ['true', 'null'],
    },
  },
  'choices of all types': {
    schema: { enum: ['two', 2, true, null, [1, 'x']] },
    accepted: {
      python: { two: 'two', 2: 2, True: true, None: null, '[1, "x"]': [1, 'x'] },
      json: { true: true },
      braces: { [q('two')]: 'two', 2: 2, true: true, [`[1,${q('x')}]`]: [1, 'x'] },
      pythonic: { '"two"': 'two', True: true, '[1, "x"]': [1, 'x'] },
    },
    refused: { python: ['three', '3', 'true'], braces: ['two', '3'], pythonic: ['two', '3'] },
  },
  'ranges of integers': {
    schema: { type: 'integer', minimum: 3, maximum: 25 },
    accepted: { python: { 3: 3, 25: 25 }, braces: { 19: 19 }, pythonic: { 19: 19 } },
    refused: { python: ['2', '26', '3.5', 'x'], braces: ['2', '26', q('5')], pythonic: ['2', '"5"'] },
  },
  'lists with items of a type': {
    schema: { type: 'array', items: { type: 'boolean' }, minItems: 1, maxItems: 2 },
    accepted: {
      python: { '[true, false]': [true, false] },
      braces: { '[true]': [true], '[true,false]': [true, false] },
      pythonic: { '[True, False]': [true, false] },
    },
    refused: {
      python: ['[]', '[1]'],
      braces: ['[]', '[1]', '[true,true,true]'],
      pythonic: ['[]', '[1]', '[True, True, True]'],
    },
  },
  'objects with their fields, also in one another': {
    schema: { $ref: '#/$defs/node' },
    accepted: {
      python: { '{"at": 1}': { at: 1 } },
      braces: { '{at:1}': { at: 1 }, '{at:1,next:{at:2}}': { at: 1, next: { at: 2 } } },
      pythonic: { '{"at": 1}': { at: 1 } },
    },
    refused: {
      python: ['{"at": "x"}', '{}'],
      braces: ['{}', '{at:-1}', '{at:1,next:{}}', '{other:1}'],
      pythonic: ['{}'],
    },
  },
  'maps of values': {
    schema: { type: 'object', additionalProperties: { type: 'string' }, maxProperties: 2 },
    accepted: { braces: { '{}': {}, [`{x:${q('1')},y:${q('2')}}`]: { x: '1', y: '2' } } },
    refused: { braces: ['{x:1}', `{x:${q('')},y:${q('')},z:${q('')}}`] },
  },
  'any value': {
    schema: true,
    accepted: { braces: { [`{x:[1,${q('a')},null]}`]: { x: [1, 'a', null] }, '-1.5': -1.5 } },
    refused: { braces: ['bare', '{x}'] },
  },
};

for (const [name, { schema, accepted, refused }] of Object.entries(rows))
  test(name, async () => {
    const parameters = { type: 'object', properties: { a: schema }, required: ['a'], $defs: { node } };
    const tools = [{ type: 'function' as const, function: { name: 'f', parameters } }];
    for (const [key, { template, write }] of Object.entries(styles)) {
      const style = key as keyof typeof styles;
      const form = answerFormOf(template);
      const format = form.style!.constraint({ tools, parallel: false }, template);
      const grammar = await library.Grammar.fromEBNF(grammarText(format));
      const accepts = async (text: string) => await library.Testings.isGrammarAcceptString(grammar, text);
      for (const [text, value] of Object.entries(accepted[style] ?? {})) {
        const answer = write([text]);
        assert.ok(await accepts(answer), `${style} refuses ${answer}`);
        const reader = createAnswerReader({ ...form, tools, promptEnd: '', isConstrained: true })!;
        const pieces = [...reader.push(answer), ...reader.end()];
        const args = pieces.map((piece) => ('call' in piece ? piece.call.arguments : '')).join('');
        assert.deepEqual(JSON.parse(args), { a: value }, answer);
      }
      for (const text of refused[style] ?? [])
        assert.ok(!(await accepts(write([text]))), `${style} accepts ${write([text])}`);
      assert.ok(!(await accepts(write([]))), `${style} accepts a call without its required field`);
      grammar.dispose();
    }
  });
