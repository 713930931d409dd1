import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConversation } from '../chat/read-messages.ts';
import { parseJsonl } from '../examples/jsonl.ts';
import { plainValues, readCells } from '../examples/shapes/cells.ts';
import { Random } from '../random.ts';
import { exactText, parseJson, readExact, writeExact } from './exact-json.ts';

const random = new Random(3, 'sampling');
const below = (n: number) => Math.floor(random.uniform() * n);

const LEAVES = [
  ...['0', '-0', '7', '-12', '1.0', '-0.0', '2.50', '1e3', '-2.5E-7', '1E+22', '9007199254740993'],
  ...['12345678901234567890123', 'true', 'false', 'null', '""', '"a"', '"é \\u00e9 \\"\\\\\\n"', '"1.0: 2"'],
];
const NAMES = ['"a"', '"b c"', '"10"', '"2"', '"-1"', '"01"', '"tools"', '"arguments"', '"\\u0061"'];
const space = () => ['', '', ' ', '\n\t'][below(4)]!;

function randomJson(depth: number): string {
  const kind = depth === 0 ? 2 : below(3);
  if (kind === 2) return LEAVES[below(LEAVES.length)]!;
  const parts = Array.from({ length: below(4) }, () => {
    const value = space() + randomJson(depth - 1) + space();
    return kind === 0 ? value : `${space()}${NAMES[below(NAMES.length)]}${space()}:${value}`;
  });
  return kind === 0 ? `[${parts.join(',') || space()}]` : `{${parts.join(',') || space()}}`;
}

test('random texts have the value of JSON.parse, and the same exact value when they are written', () => {
  for (let i = 0; i < 3000; i++) {
    const text = `{"tools": [${randomJson(3)}], "x": ${randomJson(3)}}`;
    const value = parseJson(text) as { tools: unknown[] };
    assert.deepEqual(value, JSON.parse(text), text);
    const exact = readExact(text);
    assert.deepEqual(readExact(writeExact(exact)), exact, text);
    const kept = exactText(value.tools);
    const written = writeExact((exact as unknown as { tools: string[] }).tools);
    assert.equal(
      kept === undefined ? JSON.stringify(value.tools) : writeExact(readExact(kept)),
      written,
      text,
    );
  }
});

test('numbers and the order of names are those of the text', () => {
  const text = '{"b":12345678901234567890,"2":1.0,"1":{"z":1e3,"0":[-0.0,0.5,9007199254740993]}}';
  assert.equal(writeExact(readExact(text)), text.replace('1e3', '1000.0'));
  assert.equal(exactText(parseJson(text, 'arguments') as object), text);
  assert.equal(exactText(parseJson(text) as object), undefined);
  assert.equal(exactText(parseJson('{"b": "1.0", "c": [1.5]}', 'arguments') as object), undefined);
});

const args = '{"b": 12345678901234567890, "2": 1.0}';
const tool =
  '{"type": "function", "function": {"name": "f", "description": null, "parameters": {"maximum": 1.0}}}';
const exactTool = '{"type":"function","function":{"name":"f","parameters":{"maximum":1.0}}}';

test('lines of every shape have the tools and arguments of their text', () => {
  const question = '{"role": "user", "content": "a"}';
  const callOf = (given: string) =>
    `{"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": ${given}}}]}`;
  const messages = (given: string) => `[${question}, ${callOf(given)}]`;
  const turns = JSON.stringify([
    { from: 'human', value: 'a' },
    { from: 'function_call', value: `{"name": "f", "arguments": ${args}}` },
  ]);
  const lines = [
    `{"messages": ${messages(args)}, "tools": [${tool}]}`,
    `{"messages": ${messages(JSON.stringify(args))}, "tools": ${JSON.stringify(`[${tool}]`)}}`,
    `{"messages": ${JSON.stringify(messages(args))}, "tools": [${tool}]}`,
    `{"conversations": ${turns}, "tools": ${JSON.stringify(`[${tool}]`)}}`,
  ];
  for (const line of lines) {
    const [example] = parseJsonl([line]).examples;
    const { messages: read, tools } = example as unknown as Exclude<
      ReturnType<typeof readConversation>,
      string
    >;
    assert.equal(tools![0]!.exact_json, exactTool, line);
    assert.equal(read[1]!.tool_calls![0]!.function.exact_json, args, line);
  }
  const cells = readCells({ messages: messages(args), tools: `[${tool}]` });
  const read = readConversation(plainValues(cells as Record<string, unknown>));
  assert.ok(typeof read !== 'string', String(read));
  assert.equal(read.tools![0]!.exact_json, exactTool);
  assert.equal(read.messages[1]!.tool_calls![0]!.function.exact_json, args);
});
