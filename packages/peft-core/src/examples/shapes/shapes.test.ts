import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLine } from '../read-line.ts';
import { RowChecker } from '../row-checker.ts';
import { plainValues, readCells } from './cells.ts';
import { mapColumns, parseColumns } from './columns.ts';
import { noShape } from './nearest-shape.ts';
import { shapes } from './shapes.ts';

const converted = (row: object) => {
  const shape = shapes.find((each) => each.matches(row as Record<string, unknown>));
  return shape?.convert(row as Record<string, unknown>);
};
function shapeOf(row: object): [shape: string | null, format: string] {
  const checker = new RowChecker();
  checker.row(1, row, false);
  return [checker.shape ?? null, checker.end().format];
}

test('every shape accepts its own sample, whose columns it names', () => {
  for (const shape of shapes) {
    const row = JSON.parse(shape.sample);
    assert.ok(shape.matches(row), shape.name);
    assert.ok(Object.keys(row).every((name) => shape.columns.includes(name)));
    const example = readLine(shape.convert(row), 1);
    assert.ok(typeof example !== 'string', `${shape.name}: ${example}`);
    assert.deepEqual(shapeOf(row)[0], shape.name);
  }
});

test('ShareGPT turns become messages, under all names of roles in use', () => {
  const conversations = [
    { from: 'system', value: 's' },
    { from: 'human', value: 'a' },
    { from: 'gpt', value: 'b', weight: 0 },
    { from: 'user', value: 'c' },
    { from: 'assistant', value: 'd' },
  ];
  const messages = [
    { role: 'system', content: 's' },
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b', weight: 0 },
    { role: 'user', content: 'c' },
    { role: 'assistant', content: 'd' },
  ];
  assert.deepEqual(converted({ conversations }), { messages });
  assert.deepEqual(converted({ messages: conversations }), { messages });
  assert.deepEqual(converted({ conversations: messages.slice(1), system: 's' }), { messages });
});

test("ShareGPT's calls get ids, by which a tool's answers belong to them, and tools get OpenAI's form", () => {
  const schema = { name: 'look', description: 'Looks.', parameters: { type: 'object', properties: {} } };
  const call = (id: string, args: string) => ({
    id,
    type: 'function',
    function: { name: 'look', arguments: args },
  });
  const row = {
    conversations: [
      { from: 'human', value: 'a' },
      {
        from: 'function_call',
        value: '[{"name":"look","arguments":{"n":1}},{"name":"look","arguments":{"n":2}}]',
      },
      { from: 'observation', value: 'one' },
      { from: 'observation', value: 'two' },
      { from: 'gpt', value: 'done' },
    ],
    tools: JSON.stringify([schema]),
  };
  assert.deepEqual(converted(plainValues(row)), {
    messages: [
      { role: 'user', content: 'a' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [call('call_1', '{"n":1}'), call('call_2', '{"n":2}')],
      },
      { role: 'tool', content: 'one', tool_call_id: 'call_1' },
      { role: 'tool', content: 'two', tool_call_id: 'call_2' },
      { role: 'assistant', content: 'done' },
    ],
    tools: [{ type: 'function', function: schema }],
  });
});

test("TRL's conversational prompt does not count, and its completion does", () => {
  const row = {
    prompt: [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ],
    completion: [{ role: 'assistant', content: 'd' }],
  };
  assert.deepEqual(converted(row), {
    messages: [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b', weight: 0 },
      { role: 'user', content: 'c' },
      { role: 'assistant', content: 'd' },
    ],
  });
});

test('instructions and questions become chats, unless two columns could be the question', () => {
  const chat = (user: string, assistant: string) => ({
    messages: [
      { role: 'user', content: user },
      { role: 'assistant', content: assistant },
    ],
  });
  assert.deepEqual(converted({ instruction: 'a', input: 'b', output: 'c', text: 'd' }), chat('a\n\nb', 'c'));
  assert.deepEqual(converted({ instruction: 'a', input: '', output: 'c' }), chat('a', 'c'));
  assert.deepEqual(converted({ query: 'a', response: 'b' }), chat('a', 'b'));
  assert.equal(converted({ question: 'a', query: 'b', answer: 'c' }), undefined);
  assert.equal(converted({ question: 'a', answer: 'b', response: 'c' }), undefined);
});

test('a row with fields of a format is of that format', () => {
  assert.deepEqual(shapeOf({ text: 'a', question: 'b', answer: 'c' }), [null, 'text']);
  assert.deepEqual(shapeOf({ prompt: 'a', completion: 'b', answer: 'c' }), [null, 'prompt_completion']);
  assert.deepEqual(shapeOf({ instruction: 'a', output: 'b', text: 'c' }), ['alpaca', 'chat']);
});

test('cells of text are what their fields need, and text that looks like JSON stays text', () => {
  assert.deepEqual(
    readCells({ prompt: '[1, 2]', completion: '{"a": 1}', score: '0.5', weight: '', negative: '' }),
    {
      prompt: '[1, 2]',
      completion: '{"a": 1}',
      score: 0.5,
    },
  );
  const messages = [{ role: 'user', content: 'a' }];
  assert.deepEqual(readCells({ messages: JSON.stringify(messages), prompt: JSON.stringify(messages) }), {
    messages,
    prompt: messages,
  });
  assert.equal(readCells({ tokens: '["a"' }), '"tokens" is not valid JSON');
});

test('a mapping selects fields, and a row may have the field itself', () => {
  const columns = parseColumns({ prompt: 'question', completion: 'answer' });
  assert.deepEqual(mapColumns({ question: 'a', answer: 'b', text: 'c' }, columns), {
    prompt: 'a',
    completion: 'b',
  });
  assert.deepEqual(mapColumns({ prompt: 'a', completion: 'b', text: 'c' }, columns), {
    prompt: 'a',
    completion: 'b',
  });
  assert.match(String(mapColumns({ text: 'c' }, columns)), /has no column "question", "answer"/);
  for (const wrong of [null, [], {}, { prompt: 1 }, { prompt: '' }, { prompt: 'x'.repeat(201) }, 'prompt=a'])
    assert.throws(() => parseColumns(wrong), { code: 'invalid_columns', param: 'columns' });
});

test('rows of no shape are compared with the nearest one, and a mapping is proposed', () => {
  const { message } = noShape(['question', 'chosen_response', 'rejected_response'], 'line 1');
  assert.match(
    message,
    /\{"chosen": "chosen_response", "rejected": "rejected_response", "question": "question"\}$/,
  );
});
