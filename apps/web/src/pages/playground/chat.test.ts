import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnswerRequest, addPiece, newAnswer, type Piece, pastAnswer, previousTurns } from './chat.ts';
import { parseTools } from './parse-tools.ts';
import { chatBody, textBody } from './requests.ts';
import { parseSampling, samplingDefaults } from './sampling.ts';

const { sampling } = parseSampling(samplingDefaults);
const request: AnswerRequest = {
  kind: 'chat',
  model: 'tiny',
  system: '',
  prompt: 'b',
  sampling,
  probabilities: false,
  steps: [],
  tools: [],
  before: [{ prompt: 'a', steps: [], text: 'A', reasoning: '', calls: [] }],
};

test('sampling options are parsed, and each error is reported at its field', () => {
  assert.deepEqual(sampling, { temperature: 0.7, top_p: 1, max_tokens: 256, seed: 1, stop: [] });
  const faultsOf = (text: object) => Object.keys(parseSampling({ ...samplingDefaults, ...text }).faults);
  for (const temperature of ['', ' ', 'x', '2.1', '-1', 'NaN', 'Infinity'])
    assert.deepEqual(faultsOf({ temperature }), ['temperature']);
  assert.deepEqual(faultsOf({ temperature: '0', top_p: '0' }), ['top_p']);
  assert.deepEqual(faultsOf({ max_tokens: '1.5', seed: '2147483648', stop: 'a\nb\nc\nd\ne' }), [
    ...['stop', 'max_tokens', 'seed'],
  ]);
  assert.deepEqual(parseSampling({ ...samplingDefaults, stop: 'a\n\nb\n' }).sampling.stop, ['a', 'b']);
});

test('a request contains the previous turns, and options only if they are set', () => {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'A' },
    { role: 'user', content: 'b' },
  ];
  const { temperature, top_p, max_tokens, seed } = sampling;
  const numbers = { temperature, top_p, max_tokens, seed };
  assert.deepEqual(chatBody(request), { model: 'tiny', messages, ...numbers });
  const more = { ...request, system: 'S', probabilities: true, sampling: { ...sampling, stop: ['x'] } };
  assert.deepEqual(chatBody(more), {
    model: 'tiny',
    messages: [{ role: 'system', content: 'S' }, ...messages],
    ...numbers,
    stop: ['x'],
    logprobs: true,
    top_logprobs: 5,
  });
  assert.deepEqual(textBody({ ...more, sampling }), { model: 'tiny', prompt: 'b', ...numbers, logprobs: 5 });
});

test('tokens without text are joined with the next text', () => {
  const sampled = (token: string) => ({ token, logprob: -1, top: [] });
  const pieces: Piece[] = [];
  addPiece(pieces, { text: '', tokens: [] });
  addPiece(pieces, { text: 'a', tokens: [sampled('a')] });
  addPiece(pieces, { text: '', tokens: [sampled('\uFFFD')] });
  addPiece(pieces, { text: '½', tokens: [sampled('\uFFFD')] });
  addPiece(pieces, { text: '', tokens: [] });
  assert.deepEqual(
    pieces.map(({ text, tokens }) => [text, tokens.length]),
    [
      ['a', 1],
      ['½', 2],
    ],
  );
});

test('tools, and the calls of earlier answers with their results', () => {
  const tools = [{ type: 'function', function: { name: 'now' } }];
  assert.deepEqual(parseTools(' '), { tools: [], fault: null });
  assert.deepEqual(parseTools(JSON.stringify(tools)), { tools, fault: null });
  for (const text of ['[', '{}', '[1]', '[{"type":"function"}]']) assert.ok(parseTools(text).fault, text);
  const call = { id: 'c', name: 'now', arguments: '{}' };
  const steps = [{ text: '', reasoning: 'R', calls: [call], results: ['12:30'] }];
  const body = chatBody({ ...request, steps, tools: parseTools(JSON.stringify(tools)).tools });
  assert.deepEqual(body.tools, tools);
  assert.deepEqual(body.messages.slice(-3), [
    { role: 'user', content: 'b' },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'R',
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'now', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'c', content: '12:30' },
  ]);
});

test('previous answers are sent back with their calls, results and reasoning', () => {
  const call = { id: 'c', name: 'now', arguments: '{}' };
  const steps = [{ text: 'Wait.', reasoning: '', calls: [call], results: ['12:30'] }];
  const done = { ...newAnswer({ ...request, steps }), state: 'done' as const };
  const bodyAfter = (answer: typeof done) => {
    const turns = [{ prompt: 'a', answers: [pastAnswer(answer)] }];
    return chatBody({ ...request, before: previousTurns(turns, 0) }).messages;
  };
  const tool_calls = [{ id: 'c', type: 'function', function: { name: 'now', arguments: '{}' } }];
  const head = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'Wait.', tool_calls },
    { role: 'tool', tool_call_id: 'c', content: '12:30' },
  ];
  const next = { role: 'user', content: 'b' };
  const said = { ...done, pieces: [{ text: 'Half past.', tokens: [] }], reasoning: 'R' };
  const answer = { role: 'assistant', content: 'Half past.', reasoning_content: 'R' };
  assert.deepEqual(bodyAfter(said), [...head, answer, next]);
  // Without an answer after the results, with calls that got none, and with calls that were cut off.
  assert.deepEqual(bodyAfter(done), [...head, next]);
  const calling = { ...done, calls: [call], finish: 'tool_calls' as const };
  assert.deepEqual(bodyAfter(calling), [...head, { role: 'assistant', content: null, tool_calls }, next]);
  assert.deepEqual(bodyAfter({ ...calling, finish: 'length' as never }), [...head, next]);
});
