import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLine } from '../read-line.ts';
import { noShape, RowChecker } from '../row-checker.ts';
import { plainValues, readCells } from './cells.ts';
import { mapColumns, parseColumns } from './columns.ts';
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

test("ShareGPT's calls get ids, by which a tool's answers belong to them, and tools that are text are read", () => {
  const schema = { name: 'look', description: 'Looks.', parameters: { type: 'object', properties: {} } };
  const call = (id: string, args: object) => ({
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
      { role: 'assistant', content: null, tool_calls: [call('call_1', { n: 1 }), call('call_2', { n: 2 })] },
      { role: 'tool', content: 'one', tool_call_id: 'call_1' },
      { role: 'tool', content: 'two', tool_call_id: 'call_2' },
      { role: 'assistant', content: 'done' },
    ],
    tools: [schema],
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
    { prompt: '[1, 2]', completion: '{"a": 1}', score: 0.5 },
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

const faultOf = (row: object): string => {
  const checker = new RowChecker();
  checker.row(1, row, false);
  try {
    checker.end();
  } catch (error) {
    return (error as Error).message;
  }
  return 'none';
};
const user = { role: 'user', content: 'Open?' };
const yes = { role: 'assistant', content: 'Yes.' };

for (const [name, row, fault] of [
  [
    'a prompt that no message has',
    { prompt: 'Shut?', messages: [user, yes] },
    /has a "prompt" that none of its/,
  ],
  ['a prompt that a message has', { prompt: ' open?', messages: [user, yes] }, /none/],
  ['a prompt as messages beside all', { prompt: [user], messages: [user, yes] }, /none/],
  [
    'a context of other values',
    { question: 'a', answer: 'b', context: { title: [] } },
    /"context" must be a string or a list of strings.* map the other columns/,
  ],
  ['contexts', { question: 'a', answer: 'b', context: ['c', 'd'] }, /none/],
  [
    'a history that is no list of pairs',
    { query: 'a', response: 'b', history: [['c']] },
    /"history" must be a list of pairs/,
  ],
  [
    'an instruction that is empty',
    { instruction: '', context: 'a', response: 'b' },
    /"instruction" is empty/,
  ],
  [
    'answers without a text',
    { question: 'a', context: 'b', answers: { text: [], answer_start: [] } },
    /"answers" has no text/,
  ],
  [
    'calls without tools',
    { query: 'a', answers: '[{"name": "look"}]' },
    /"answers" must be .*, or calls of "tools"/,
  ],
  [
    'a flag of a user',
    { messages: [{ ...user, train: true }, yes] },
    /messages\[0\]\.train is true; only assistant messages/,
  ],
  [
    'a flag that is no truth value',
    { messages: [user, { ...yes, loss: 'no' }] },
    /messages\[1\]\.loss must be true or false/,
  ],
  [
    'flags of all parts',
    { messages: [user, { ...yes, train_detail: [{ begin_offset: 0, end_offset: 3, train: true }] }] },
    /none/,
  ],
  [
    'flags of some parts',
    { messages: [user, { ...yes, train_detail: [{ train: true }, { train: false }] }] },
    /messages\[1\]\.train_detail excludes a part/,
  ],
  [
    'no turn that is trained on',
    { messages: [user, { ...yes, train: false }] },
    /no assistant message to train on/,
  ],
  [
    'an answer of a tool after a question',
    { messages: [user, { role: 'tool', content: 'x' }, yes] },
    /answers no call/,
  ],
  [
    'an answer with the id of a call in text',
    { messages: [user, yes, { role: 'tool', content: 'x', tool_call_id: 'a' }, yes] },
    /answers no call/,
  ],
  [
    'tools that are no JSON',
    {
      conversations: [
        { from: 'human', value: 'a' },
        { from: 'gpt', value: 'b' },
      ],
      tools: 'hammer',
    },
    /"tools" must be a list or its JSON text, got "hammer"/,
  ],
  ['a column of tools beside a text', { text: 'a', tools: 'hammer' }, /none/],
  [
    'a turn that is no turn',
    { conversations: [{ from: 'human', value: 'a' }, 'b'] },
    /conversations\[1\] must be an object/,
  ],
  ['a system prompt that is no text', { conversations: [], system: 1 }, /"system" must be a string/],
] as const)
  test(`read or refused: ${name}`, () => assert.match(faultOf(row), fault));

test('fields without a value are absent, and a label of a chat judges its last message', () => {
  assert.deepEqual(shapeOf({ prompt: null, chosen: null, rejected: null, messages: [user, yes] }), [
    null,
    'chat',
  ]);
  assert.deepEqual(shapeOf({ instruction: 'a', output: 'b', kto_tag: true }), [
    'alpaca',
    'unpaired_preference',
  ]);
  for (const label of [true, 'True', 1, '0'])
    assert.deepEqual(shapeOf({ prompt: 'a', completion: 'b', label }), [null, 'unpaired_preference']);
  assert.deepEqual(shapeOf({ text: 'a', label: 'true' }), [null, 'classification']);
});

test('columns that are not read are counted, also under a mapping', () => {
  const unreadOf = (rows: object[], columns: Record<string, string> | null = null) => {
    const checker = new RowChecker({}, columns);
    for (const [i, row] of rows.entries()) checker.row(i + 1, row, false);
    return checker.end().unread;
  };
  const rows = [
    { question: 'a', answer: 'b', id: 1, note: '', tags: [] },
    { question: 'a', answer: 'b', id: 2, note: 'x', prompt: null },
    { question: 'a', answer: 1, id: 3 },
  ];
  assert.deepEqual(unreadOf(rows.slice(0, 2)), [
    { name: 'id', values: 2 },
    { name: 'note', values: 1 },
  ]);
  const mapped = { question: 'a', answer: 'b', context: 'c', prompt: 'd' };
  assert.deepEqual(unreadOf([mapped], { prompt: 'question', completion: 'answer', topic: 'context' }), [
    { name: 'context', values: 1 },
    { name: 'prompt', values: 1 },
  ]);
  assert.deepEqual(
    unreadOf([{ prompt: 'a', completion: 'b' }], { prompt: 'question', completion: 'answer' }),
    [],
  );
  const [first] = unreadOf([{ text: 'a', weight: 2, tools: 'x', ['n'.repeat(300)]: 'y' }]).slice(1);
  assert.equal(first!.name.length, 200);
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`c${i}`, i]));
  assert.equal(unreadOf([{ text: 'a', ...many }]).length, 100);
  // Beside texts, tools are not read.
  assert.deepEqual(unreadOf([{ prompt: 'a', chosen: 'b', rejected: 'c', tools: [{ name: 'x' }] }]), [
    { name: 'tools', values: 1 },
  ]);
});
