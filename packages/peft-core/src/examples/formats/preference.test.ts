// Lines of preferences as OpenAI, TRL and others write them: what is trained on, and what is refused.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { smollm2Tokenizer } from '../../testing/smollm2-tokenizer.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { parseJsonl } from '../jsonl.ts';
import { unpaired, withOtherCompletions } from '../preferences.ts';
import { tokenizeExamples } from '../tokenize-examples.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';

let tokenizer: Tokenizer;
before(async () => {
  tokenizer = await smollm2Tokenizer();
});

const parsed = (...lines: object[]) =>
  parseJsonl(Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n')));
const faultOf = (line: object): string => {
  try {
    parsed(line);
  } catch (error) {
    return (error as Error).message;
  }
  return 'none';
};
const tokenized = (line: object, maxSeqLength = 512, overlong: 'error' | 'skip' | 'truncate' = 'error') =>
  tokenizeExamples(tokenizer, parsed(line).examples, { maxSeqLength, overlong });

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

/** The text before the targets, and the targets, of each sequence. */
const texts = ({ sequences }: TrainingExample) =>
  sequences.map(({ ids, targets }) => {
    const first = targets!.findIndex((target) => target !== NO_TARGET);
    const whole = [...ids, targets!.at(-1)!];
    return [tokenizer.decode(whole.slice(0, first + 1)), tokenizer.decode(whole.slice(first + 1))];
  });

test('texts: both completions after the prompt, each with the end-of-sequence token', () => {
  const [example] = tokenized({ prompt: 'Which tyre fits?', chosen: ' A 32.', rejected: ' Any tyre.' });
  assert.deepEqual(texts(example!), [
    ['Which tyre fits?', ' A 32.<|im_end|>'],
    ['Which tyre fits?', ' Any tyre.<|im_end|>'],
  ]);
  const { sequences, tokens } = example!;
  assert.equal(
    tokens,
    sequences.reduce((sum, { ids }) => sum + ids.length + 1, 0),
  );
});

test('chats of OpenAI and TRL, with the prompt given or not, are the same example', () => {
  const [prompt, chosen, rejected] = [
    [user('Hi'), assistant('Yes?'), user('Which tyre?')],
    [assistant('A 32.')],
    [assistant('Any.')],
  ];
  const lines = [
    { prompt, chosen, rejected },
    { chosen: [...prompt, ...chosen], rejected: [...prompt, ...rejected] },
    { prompt: 'Which tyre?', chosen: [...prompt, ...chosen], rejected: [...prompt, ...rejected] },
    {
      input: { messages: prompt, parallel_tool_calls: true },
      preferred_output: chosen,
      non_preferred_output: rejected,
    },
  ];
  const examples = lines.map((line) => tokenized(line)[0]!);
  for (const example of examples) assert.deepEqual(example, examples[0]);
  const [one, two] = texts(examples[0]!);
  assert.deepEqual([one![1], two![1]], ['A 32.<|im_end|>', 'Any.<|im_end|>']);
  assert.equal(one![0], two![0]);
  assert.match(one![0]!, /Yes\?<\|im_end\|>[\s\S]*assistant\n$/, 'earlier answers are context');
});

test('tools are part of the prompt, and calls and their arguments are checked', () => {
  const tools = [{ type: 'function', function: { name: 'stock', parameters: {} } }];
  const call = (name: string) => ({
    role: 'assistant',
    content: null,
    tool_calls: [{ type: 'function', function: { name, arguments: '{}' } }],
  });
  const line = (name: string) => ({
    input: { messages: [user('Any left?')], tools },
    preferred_output: [call(name)],
    non_preferred_output: [assistant('No.')],
  });
  assert.equal(faultOf(line('stock')), 'none');
  assert.match(
    faultOf(line('stick')),
    /"chosen" after "prompt": .*calls "stick", which "tools" does not declare/,
  );
});

for (const [name, line, fault] of [
  ['a rejected completion is missing', { prompt: 'a', chosen: 'b' }, /"rejected" must be a string/],
  ['an empty completion', { prompt: 'a', chosen: 'b', rejected: '' }, /"rejected" is empty/],
  ['equal completions', { prompt: 'a', chosen: 'b', rejected: 'b' }, /"chosen" and "rejected" are the same/],
  [
    'a text beside messages',
    { prompt: [user('a')], chosen: 'b', rejected: 'c' },
    /"chosen" must be a list of messages, as "prompt" is/,
  ],
  [
    'no prompt of either kind',
    { prompt: 7, chosen: 'b', rejected: 'c' },
    /"prompt" must be a string or a list of messages, got 7/,
  ],
  [
    'an input without messages',
    { input: 'a', preferred_output: [], non_preferred_output: [] },
    /"input" must be \{"messages": \[…\]\}/,
  ],
  [
    'an output without messages',
    { input: { messages: [user('a')] }, preferred_output: [], non_preferred_output: [assistant('b')] },
    /"chosen" must be a list of messages/,
  ],
  [
    'a label that is no truth value',
    { prompt: 'a', completion: 'b', label: 'yes' },
    /several kinds of example/,
  ],
  [
    'chosen beside a completion',
    { prompt: 'a', completion: 'b', chosen: 'c', rejected: 'd' },
    /several kinds of example/,
  ],
] as const)
  test(`refused: ${name}`, () => assert.match(faultOf(line), fault));

test('a completion of which the length leaves nothing is left out, or refused with the length', () => {
  const line = {
    prompt: 'one two three four five six seven eight nine ten',
    chosen: ' yes',
    rejected: ' no',
  };
  assert.throws(() => tokenized(line, 8), { code: 'example_too_long' });
  assert.deepEqual(tokenized(line, 8, 'truncate'), []);
});

test('judged completions: one sequence, which is compared with the completion of another prompt', () => {
  const lines = [
    { prompt: 'a b?', completion: ' one', label: true },
    { prompt: 'c d e?', completion: ' two three', label: false },
    { prompt: 'f?', completion: ' four', label: true },
  ];
  const examples = lines.flatMap((line) => tokenized(line));
  assert.deepEqual(
    examples.map((each) => each.isDesirable),
    [true, false, true],
  );
  const pairs = withOtherCompletions(examples, 2, 512);
  const end = '<|im_end|>';
  assert.deepEqual(
    pairs.map((each) => texts(each)[1]),
    [
      ['a b?', ` two three${end}`],
      ['c d e?', ` one${end}`],
      ['f?', ` four${end}`],
    ],
  );
});

test('pairs that are judged: chosen completions before rejected ones', () => {
  const [pair] = tokenized({ prompt: 'a?', chosen: ' b', rejected: ' c d' });
  const single = unpaired([pair!, pair!]);
  assert.deepEqual(
    single.map((each) => each.isDesirable),
    [true, true, false, false],
  );
  assert.deepEqual(
    single.map(({ sequences }) => sequences.length),
    [1, 1, 1, 1],
  );
});

test('a prompt under another name is not left out', () => {
  const pair = { chosen: 'Yes.', rejected: 'Yes!' };
  const read = (line: object) => {
    const { format: _, line: __, ...fields } = parsed(line).examples[0]!;
    return fields;
  };
  const chat = (...prompt: object[]) => ({
    prompt,
    chosen: [assistant('Yes.')],
    rejected: [assistant('Yes!')],
  });
  assert.deepEqual(read({ question: 'Open?', ...pair }), chat(user('Open?')));
  assert.deepEqual(
    read({ system: 'Be brief.', instruction: 'Open?', input: 'The gate.', ...pair }),
    chat({ role: 'system', content: 'Be brief.' }, user('Open?\n\nThe gate.')),
  );
  const chats = { chosen: [assistant('Yes.')], rejected: [assistant('Yes!')] };
  assert.deepEqual(read({ instruction: 'Open?', ...chats }), chat(user('Open?')));
  assert.deepEqual(read({ prompt: 'Open?', ...chats }), chat(user('Open?')));
  assert.match(
    faultOf({ question: 'Open?', query: 'Shut?', ...pair }),
    /has "question" and "query", and no "prompt"/,
  );
  assert.equal(faultOf({ input: 'Open?', prompt: 'Is it open?', ...pair }), 'none');
  assert.deepEqual(read({ question: 'Open?', chosen: 'Open? Yes.', rejected: 'Open? No.' }), {
    prompt: 'Open?',
    chosen: ' Yes.',
    rejected: ' No.',
  });
});
