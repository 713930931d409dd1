/**
 * Tools, response formats and penalties, with OpenAI's official Node client. The model is real but untrained: an answer that calls a tool or
 * follows a schema does so because nothing else is possible.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionTool,
} from 'openai/resources/chat/completions';
import { type SuiteGraft, startSuiteGraft } from './suite-graft.ts';

let graft: SuiteGraft;
let client: OpenAI;

before(async () => {
  graft = await startSuiteGraft();
  client = new OpenAI({ baseURL: graft.settings.base_url, apiKey: graft.settings.member_key });
});
after(async () => await graft?.close());

const cities = ['Paris', 'Rome "north"', 'Köln'];
const weather: ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather now.',
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', enum: cities }, metric: { type: 'boolean' } },
      required: ['city', 'metric'],
      additionalProperties: false,
    },
  },
};
const now: ChatCompletionTool = { type: 'function', function: { name: 'now' } };
const question = [{ role: 'user' as const, content: 'How warm is it?' }];

type Params = ChatCompletionCreateParamsNonStreaming;
const paramsOf = (more: Partial<Params>): Params => ({
  model: graft.settings.tool_model,
  messages: question,
  max_tokens: 300,
  seed: 1,
  ...more,
});
const ask = async (more: Partial<Params>) => await client.chat.completions.create(paramsOf(more));

function checkArguments(text: string): void {
  const { city, metric, ...rest } = JSON.parse(text) as Record<string, unknown>;
  assert.ok(cities.includes(city as string) && typeof metric === 'boolean', text);
  assert.deepEqual(rest, {});
}

const schema = {
  type: 'object',
  properties: { kind: { type: 'string', enum: ['a', 'b'] }, sure: { type: 'boolean' } },
  required: ['kind', 'sure'],
  additionalProperties: false,
};
const reviewed: Partial<Params> = {
  response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
};

function checkReview(content: string | null): void {
  const value = JSON.parse(content!) as { kind: string; sure: boolean };
  assert.ok(['a', 'b'].includes(value.kind) && typeof value.sure === 'boolean', content!);
}

const required: Partial<Params> = { tools: [weather], tool_choice: 'required', parallel_tool_calls: false };

test('a required call: whole, streamed, and with log probabilities', async () => {
  const whole = await ask({ ...required, logprobs: true });
  const [choice] = whole.choices;
  assert.equal(choice!.finish_reason, 'tool_calls');
  assert.equal(choice!.message.content, null);
  const [call, ...others] = choice!.message.tool_calls!;
  assert.equal(others.length, 0);
  assert.ok(call?.type === 'function' && call.id.startsWith('call_'));
  assert.equal(call.function.name, 'get_weather');
  checkArguments(call.function.arguments);
  assert.equal(choice!.logprobs!.content!.length, whole.usage!.completion_tokens);

  const stream = await client.chat.completions.create({ ...paramsOf(required), stream: true });
  const deltas: OpenAI.ChatCompletionChunk.Choice[] = [];
  for await (const { choices } of stream) deltas.push(...choices);
  const parts = deltas.flatMap(({ delta }) => delta.tool_calls ?? []);
  const [first, ...rest] = parts;
  assert.match(first!.id!, /^call_/);
  assert.deepEqual(
    { ...first, id: '' },
    { index: 0, id: '', type: 'function', function: { name: 'get_weather', arguments: '' } },
  );
  for (const { index, id, type, function: part } of rest)
    assert.deepEqual([index, id, type, part?.name], [0, undefined, undefined, undefined]);
  assert.ok(rest.length > 5, 'the arguments arrive in parts');
  assert.equal(
    rest.map((part) => part.function!.arguments).join(''),
    call.function.arguments,
    'the same seed',
  );
  assert.equal(deltas.map(({ delta }) => delta.content ?? '').join(''), '');
  assert.equal(deltas.at(-1)!.finish_reason, 'tool_calls');
});

test("the client's own stream and parser", async () => {
  const final = await client.chat.completions
    .stream({ ...paramsOf({ ...required, seed: 2 }), stream: true })
    .finalChatCompletion();
  const [call] = final.choices[0]!.message.tool_calls!;
  assert.ok(call?.type === 'function');
  checkArguments(call.function.arguments);
  const parsed = await client.chat.completions.parse(paramsOf(reviewed));
  checkReview(JSON.stringify(parsed.choices[0]!.message.parsed));
  assert.equal(parsed.choices[0]!.finish_reason, 'stop');
});

test('a conversation with calls and results, as the client sends it back', async () => {
  const first = await ask({
    ...required,
    tools: [weather, now],
    tool_choice: { type: 'function', function: { name: 'now' } },
  });
  const { message } = first.choices[0]!;
  const [call] = message.tool_calls!;
  assert.ok(call?.type === 'function');
  assert.deepEqual([call.function.name, call.function.arguments], ['now', '{}']);
  const messages = [...question, message, { role: 'tool' as const, tool_call_id: call.id, content: '12:30' }];
  const second = await ask({ messages, tools: [weather, now], max_tokens: 8 });
  assert.ok(second.usage!.prompt_tokens > first.usage!.prompt_tokens + '12:30'.length);
  // Without a choice an untrained model calls nothing.
  assert.equal(second.choices[0]!.message.tool_calls, undefined);
  const without = await ask({ messages: question, tools: [weather], tool_choice: 'none', max_tokens: 8 });
  assert.equal(
    without.usage!.prompt_tokens,
    (await ask({ max_tokens: 8 })).usage!.prompt_tokens,
    'no tools in the prompt',
  );
});

test('several choices, each a separate call', async () => {
  const { choices } = await ask({ ...required, n: 3 });
  const ids = choices.map(({ message }) => message.tool_calls![0]!.id);
  assert.equal(new Set(ids).size, 3);
  for (const { message } of choices) {
    const [call] = message.tool_calls!;
    assert.ok(call?.type === 'function');
    checkArguments(call.function.arguments);
  }
});

test('reasoning apart from content', async () => {
  const kwargs = { chat_template_kwargs: { thinks: true } };
  const { choices } = await ask({ ...kwargs, max_tokens: 12, logit_bias: { 257: -100 } } as Partial<Params>);
  const { content, reasoning_content } = choices[0]!.message as {
    content: string;
    reasoning_content?: string;
  };
  assert.equal(content, '');
  assert.ok(reasoning_content!.length > 0);
});

test('reasoning before a constrained answer: whole, streamed, and of several choices', async () => {
  // <think> 260 opens it; "o" 111 is written until the penalty makes </think> 261 more probable.
  const params = {
    ...reviewed,
    chat_template_kwargs: { thinks: 'may' },
    logit_bias: { 260: 30, 111: 60, 261: 40 },
    frequency_penalty: 2,
    temperature: 1,
  } as Partial<Params>;
  type Reasoned = { content?: string | null; reasoning_content?: string };
  const whole = await ask({ ...params, n: 2 });
  assert.equal(whole.choices.length, 2);
  for (const { message, finish_reason } of whole.choices) {
    checkReview(message.content);
    assert.match((message as Reasoned).reasoning_content!, /^o{8,12}$/);
    assert.equal(finish_reason, 'stop');
  }
  const stream = await client.chat.completions.create({ ...paramsOf(params), stream: true });
  const deltas: Reasoned[] = [];
  for await (const { choices } of stream) deltas.push(...choices.map(({ delta }) => delta as Reasoned));
  const joined = (field: keyof Reasoned) => deltas.map((delta) => delta[field] ?? '').join('');
  assert.match(joined('reasoning_content'), /^o{8,12}$/);
  assert.equal(joined('content'), whole.choices[0]!.message.content, 'the same seed');
  const last = deltas.findLastIndex(({ reasoning_content }) => reasoning_content);
  assert.ok(
    last > 5 && last < deltas.findIndex(({ content }) => content),
    'reasoning arrives first, in parts',
  );
  const cut = await ask({ ...params, max_tokens: 5 });
  assert.deepEqual([cut.choices[0]!.finish_reason, cut.choices[0]!.message.content], ['length', '']);
  const called = await ask({ ...params, response_format: { type: 'text' }, ...required });
  const { message, finish_reason } = called.choices[0]!;
  assert.deepEqual([finish_reason, message.content], ['tool_calls', null]);
  assert.match((message as Reasoned).reasoning_content!, /^o{8,12}$/);
  const [call] = message.tool_calls!;
  assert.ok(call?.type === 'function');
  checkArguments(call.function.arguments);
});

test('biases and penalties', async () => {
  // The model has a token for each byte; 257 ends an answer.
  const only = await ask({ logit_bias: { 120: 100, 257: -100 }, max_tokens: 9, temperature: 0 });
  assert.equal(only.choices[0]!.message.content, 'x'.repeat(9));
  const bias = { 120: 100, 121: 99.5, 257: -100 };
  const spread = await ask({ logit_bias: bias, max_tokens: 8, temperature: 0, presence_penalty: 2 });
  assert.match(spread.choices[0]!.message.content!, /^x*y/);
  const often = await ask({ logit_bias: bias, max_tokens: 8, temperature: 0, frequency_penalty: 2 });
  assert.match(often.choices[0]!.message.content!, /^(?=.*x.*y.*x)[xy]{8}$/);
  const text = await client.completions.create({
    model: graft.settings.tool_model,
    prompt: 'a',
    max_tokens: 3,
    logit_bias: { 122: 100 },
  });
  assert.equal(text.choices[0]!.text, 'zzz');
});

describe('one clear error for', () => {
  const tool = (parameters: Record<string, unknown>): ChatCompletionTool => ({
    type: 'function',
    function: { name: 'f', parameters, strict: true },
  });
  const call = (text: string) => ({
    role: 'assistant' as const,
    content: null,
    tool_calls: [{ id: 'a', type: 'function' as const, function: { name: 'f', arguments: text } }],
  });
  const deep = (levels: number): Record<string, unknown> =>
    levels === 0 ? { type: 'integer' } : { type: 'object', properties: { a: deep(levels - 1) } };
  const format = (schema: Record<string, unknown>) => ({
    response_format: { type: 'json_schema' as const, json_schema: { name: 'a', schema, strict: true } },
  });
  const cases: [what: string, params: () => Partial<Params>, code: string, param: string][] = [
    [
      'arguments that are not JSON',
      () => ({ messages: [...question, call('{"a": ')] }),
      'invalid_value',
      'messages[1].tool_calls[0].function.arguments',
    ],
    [
      'arguments that are a list',
      () => ({ messages: [...question, call('[]')] }),
      'invalid_value',
      'messages[1].tool_calls[0].function.arguments',
    ],
    [
      'arguments that are too deep',
      () => ({ messages: [call('{"a":'.repeat(9000))] }),
      'invalid_value',
      'messages[0].tool_calls[0].function.arguments',
    ],
    [
      'a result without a call',
      () => ({ messages: [...question, { role: 'tool', tool_call_id: 'b', content: '' }] }),
      'invalid_value',
      'messages[1].tool_call_id',
    ],
    [
      'a second result of a call',
      () => ({
        messages: [
          call('{}'),
          ...['b', 'c'].map((content) => ({ role: 'tool' as const, tool_call_id: 'a', content })),
        ],
      }),
      'invalid_value',
      'messages[2].tool_call_id',
    ],
    [
      'arguments with too many values',
      () => ({ messages: [call(JSON.stringify({ a: Array(10_001).fill(0) }))] }),
      'invalid_value',
      'messages[0].tool_calls[0].function.arguments',
    ],
    [
      'reasoning of a user',
      () => ({ messages: [{ role: 'user', content: 'Hi', thinking: 'a' }] as unknown as Params['messages'] }),
      'invalid_value',
      'messages[0].thinking',
    ],
    [
      'a result of another call',
      () => ({ messages: [call('{}'), { role: 'tool', tool_call_id: 'b', content: '' }] }),
      'invalid_value',
      'messages[1].tool_call_id',
    ],
    [
      'no content',
      () => ({ messages: [{ role: 'assistant', content: null }] }),
      'invalid_value',
      'messages[0].content',
    ],
    ['a choice without tools', () => ({ tool_choice: 'required' }), 'invalid_value', 'tool_choice'],
    [
      'a choice of another tool',
      () => ({ tools: [now], tool_choice: { type: 'function', function: { name: 'g' } } }),
      'invalid_value',
      'tool_choice',
    ],
    ['two tools of one name', () => ({ tools: [now, now] }), 'invalid_value', 'tools[1].function.name'],
    [
      'a template without tools',
      () => ({ tools: [now], model: graft.settings.model }),
      'tools_not_supported',
      'tools',
    ],
    [
      'a schema that is too deep',
      () => ({ tools: [tool(deep(12))], messages: question, ...format(deep(40)) }),
      'json_too_deep',
      '',
    ],
    [
      'a keyword without guarantee',
      () => format({ not: { type: 'string' } }),
      'invalid_value',
      'response_format.json_schema.schema',
    ],
    [
      'a reference to nothing',
      () => format({ $ref: '#/$defs/a' }),
      'invalid_value',
      'response_format.json_schema.schema',
    ],
    [
      'too many choices',
      () => format({ enum: Array.from({ length: 1001 }, (_, i) => `${i}`) }),
      'invalid_value',
      'response_format.json_schema.schema',
    ],
    [
      'a pattern that is none',
      () => format({ type: 'string', pattern: '^(a' }),
      'invalid_value',
      'response_format.json_schema.schema',
    ],
    ['a bias that is too large', () => ({ logit_bias: { 1: 101 } }), 'invalid_value', 'logit_bias[1]'],
    ['a penalty that is too large', () => ({ frequency_penalty: 3 }), 'invalid_value', 'frequency_penalty'],
  ];
  for (const [what, params, code, param] of cases)
    test(what, async () => {
      const error = await ask(params()).then(
        () => assert.fail('an error expected'),
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.deepEqual([error.code, error.param ?? ''], [code, param], error.message);
    });

  test('none of them harms the next answer', async () => {
    const { choices } = await ask(required);
    assert.equal(choices[0]!.finish_reason, 'tool_calls');
  });
});
