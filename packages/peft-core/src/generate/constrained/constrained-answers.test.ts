/** Answers of a real, untrained model: only their grammar can make them valid. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Tool } from '../../chat/message.ts';
import { GraftError } from '../../errors.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyToolModel } from '../../testing/tiny-model.ts';
import { type GenerateRequest, Generator } from '../generator.ts';
import type { GeneratedText, GenerateResult } from '../sequence.ts';

const weather: Tool = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { enum: ['Paris', 'Rome "north"', 'Köln'] }, metric: { type: 'boolean' } },
      required: ['city', 'metric'],
      additionalProperties: false,
    },
  },
};
const now: Tool = { type: 'function', function: { name: 'now' } };
const messages = [{ role: 'user', content: 'Hello' }];

const inFolder = tempFolder();
let base: BaseModel;
let generator: Generator;

before(async () => {
  const folder = inFolder('model');
  await writeTinyToolModel(folder);
  base = await openBaseModel(folder, { digestCache: folder });
  generator = await Generator.open({ base, context: 2048, rows: 8 });
});
after(async () => {
  await generator?.close();
  await base?.close();
});

interface Answer extends GenerateResult {
  content: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string }[];
  pieces: GeneratedText[];
}

async function ask(request: GenerateRequest, onPiece = () => {}): Promise<Answer> {
  const said = generator.generate({ messages, max_tokens: 300, temperature: 1.5, ...request });
  const answer = { content: '', reasoning: '', calls: [] as Answer['calls'], pieces: [] as GeneratedText[] };
  for (;;) {
    const next = await said.next();
    if (next.done) return { ...answer, ...next.value };
    answer.pieces.push(next.value);
    onPiece();
    answer.content += next.value.text;
    answer.reasoning += next.value.reasoning ?? '';
    for (const { index, id, name, arguments: text } of next.value.calls ?? []) {
      if (id !== undefined) answer.calls[index] = { id, name: name!, arguments: '' };
      answer.calls[index]!.arguments += text;
    }
  }
}

const refuses = async (request: GenerateRequest, code: string, param: string) =>
  await assert.rejects(ask(request), (error) => {
    assert.ok(error instanceof GraftError && error.fault === 'user', String(error));
    assert.deepEqual([error.code, error.param], [code, param], error.message);
    return true;
  });

test('a required call is one of the tools, with arguments that their schema allows', async () => {
  for (let seed = 0; seed < 6; seed++) {
    const answer = await ask({
      tools: [weather, now],
      tool_choice: 'required',
      parallel_tool_calls: false,
      seed,
    });
    assert.equal(answer.finishReason, 'tool_calls');
    assert.deepEqual([answer.content, answer.reasoning, answer.calls.length], ['', '', 1]);
    const [call] = answer.calls;
    const values = JSON.parse(call!.arguments) as Record<string, unknown>;
    if (call!.name === 'now') assert.deepEqual(values, {});
    else {
      assert.deepEqual(Object.keys(values), ['city', 'metric']);
      assert.ok(['Paris', 'Rome "north"', 'Köln'].includes(values.city as string));
      assert.equal(typeof values.metric, 'boolean');
    }
  }
});

test('a named tool is called, greedily and with a seed, and with log-probabilities', async () => {
  const request = {
    tools: [now, weather],
    tool_choice: { name: 'weather' },
    temperature: 0,
    logprobs: 2,
  } as const;
  const answer = await ask(request);
  assert.deepEqual(
    answer.calls.map(({ name }) => name),
    ['weather'],
  );
  assert.equal(answer.pieces.filter(({ likely }) => likely).length, answer.completionTokens);
  const again = await ask(request);
  assert.deepEqual(
    again.calls.map(({ arguments: text }) => text),
    answer.calls.map(({ arguments: text }) => text),
  );
});

test('content of a JSON schema, and of any object', async () => {
  const schema = {
    type: 'object',
    properties: {
      kind: { enum: ['a', 'b'] },
      items: { type: 'array', items: { type: 'boolean' }, minItems: 2, maxItems: 3 },
    },
    required: ['kind', 'items'],
  };
  for (let seed = 0; seed < 4; seed++) {
    const { content, finishReason } = await ask({ response_format: { type: 'json_schema', schema }, seed });
    const value = JSON.parse(content) as { kind: string; items: boolean[] };
    assert.ok(['a', 'b'].includes(value.kind) && value.items.length >= 2 && value.items.length <= 3, content);
    assert.equal(finishReason, 'stop');
  }
  const { content } = await ask({ response_format: { type: 'json_object' }, seed: 1, max_tokens: 20 });
  assert.ok(content.startsWith('{'), content);
});

test('reasoning that the prompt opens is free, and does not end the answer', async () => {
  const answer = await ask({
    response_format: { type: 'json_schema', schema: { enum: ['yes', 'no'] } },
    chat_template_kwargs: { thinks: true },
    separate_reasoning: true,
    max_tokens: 60,
    seed: 1,
    // The end of the sequence.
    logit_bias: { 257: 100 },
  });
  assert.deepEqual([answer.content, answer.finishReason, answer.completionTokens], ['', 'length', 60]);
  assert.ok(answer.reasoning.length > 0);
});

describe('several answers at once', () => {
  test('each keeps to its own grammar, and the others are as without them', async () => {
    const plain = { seed: 3, max_tokens: 40 };
    const alone = await ask(plain);
    const answers = await Promise.all([
      ask(plain),
      ...['x', 'y', 'z'].map((only, seed) =>
        ask({ response_format: { type: 'json_schema', schema: { enum: [only] } }, seed }),
      ),
      ask({ tools: [weather], tool_choice: 'required', parallel_tool_calls: false }),
    ]);
    assert.equal(answers[0]!.content, alone.content);
    assert.deepEqual(
      answers.slice(1, 4).map(({ content }) => content),
      ['"x"', '"y"', '"z"'],
    );
    assert.equal(answers[4]!.calls[0]!.name, 'weather');
  });

  test('are not slowed by a schema that takes long to prepare', async () => {
    const hostile = { anyOf: Array.from({ length: 20 }, (_, i) => ({ type: 'string', maxLength: 250 + i })) };
    const slow = ask({ response_format: { type: 'json_schema', schema: hostile }, max_tokens: 5 }).catch(
      () => null,
    );
    const { content } = await ask({
      response_format: { type: 'json_schema', schema: { enum: ['on time'] } },
      team: 'other',
    });
    assert.equal(content, '"on time"');
    await slow;
  });
});

describe('refusals', () => {
  test('schemas that cannot be prepared, one after another, and then a good one', async () => {
    let deep: Record<string, unknown> = { type: 'integer' };
    for (let i = 0; i < 400; i++) deep = { type: 'object', properties: { a: deep }, required: ['a'] };
    for (const schema of [
      deep,
      { $ref: '#/$defs/missing' },
      { type: 'string', pattern: '(' },
      { type: 'string', pattern: '.*a.{20}' },
      { type: 'no such type' },
    ])
      await refuses(
        { response_format: { type: 'json_schema', schema } },
        'invalid_schema',
        'response_format',
      );
    for (const pattern of ['(?=a)[', '(a+)\\1']) {
      const parameters = { type: 'object', properties: { a: { type: 'string', pattern } } };
      const tool: Tool = { type: 'function', function: { name: 'f', parameters } };
      await refuses({ tools: [tool], tool_choice: 'required' }, 'invalid_schema', 'tools');
    }
    assert.equal(
      (await ask({ response_format: { type: 'json_schema', schema: { const: 1 } } })).content,
      '1',
    );
  });

  test('a tool that is not among the tools', async () => {
    await refuses({ tools: [now], tool_choice: { name: 'then' } }, 'invalid_value', 'tool_choice');
  });
});

test('an aborted answer frees its grammar, and the next is not disturbed', async () => {
  const cancelling = new AbortController();
  const schema = { const: 'this text is several tokens long' };
  const cut = ask({ response_format: { type: 'json_schema', schema }, signal: cancelling.signal }, () =>
    cancelling.abort(new Error('cancelled')),
  );
  await assert.rejects(cut, /cancelled/);
  assert.equal(
    (await ask({ response_format: { type: 'json_schema', schema: { const: 'next' } } })).content,
    '"next"',
  );
});
