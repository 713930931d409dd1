import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChatCompletionChunkSchema } from '@graft/wire/chat-completion';
import { CompletionChunkSchema } from '@graft/wire/completion';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { TSchema } from 'typebox';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';
import { done, says, scriptedWorkers, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());
const { start, closeAll } = scriptedWorkers(() => bench.services);
afterEach(closeAll);

const messages = [{ role: 'user', content: 'Hi' }];
const hello = says(token('Hel'), token('lo ½'), done());

async function chat(more: object = {}) {
  return await bench.acme.send('POST', '/v1/chat/completions', { model: 'tiny', messages, ...more });
}
async function complete(more: object = {}) {
  return await bench.acme.send('POST', '/v1/completions', { model: 'tiny', prompt: 'Once', ...more });
}

/** The JSON of each server-sent event; `[DONE]` as text. */
function eventsOf(text: string) {
  return text
    .split('\n\n')
    .filter(Boolean)
    .map((message) => message.replace(/^data: /, ''))
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)));
}

/** Checks chunks of a stream against their schema. The server under test checks other responses itself. */
function assertPieces(schema: TSchema, pieces: unknown[]): void {
  const ajv = new Ajv2020();
  for (const piece of pieces) assert.ok(ajv.validate(schema, piece), ajv.errorsText());
}

test('special tokens in the text are tokens only where the request allows them', async () => {
  const worker = await start(hello);
  for (const ask of [chat, complete])
    for (const allow_special_tokens of [true, false, null]) await ask({ allow_special_tokens });
  assert.deepEqual(
    worker.requests.map(({ allow_special_tokens: allowed }) => allowed),
    [true, undefined, undefined, true, undefined, undefined],
  );
  const { status, json } = await chat({ allow_special_tokens: 'yes' });
  assert.deepEqual([status, json.error.param], [400, 'allow_special_tokens']);
});

describe('tools of a request', () => {
  const named = (name: string, parameters?: object, more: object = {}) => ({
    type: 'function',
    function: { name, ...(parameters ? { parameters } : {}), ...more },
  });

  test('reach the worker as written, with the names and fields that training data may have', async () => {
    const worker = await start(hello);
    const tool =
      '{"type":"function","returns":{},"function":{"name":"a.b:c/d","strict":false,"parameters":{"type":"object","properties":{"b":{"minimum":1.0},"1":{"maximum":12345678901234567890}}}}}';
    const body = `{"model":"tiny","messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"a.b:c/d","arguments":"{\\"b\\": 12345678901234567890}"}}]}],"tools":[${tool},{"type":"function","function":{"name":"${'n'.repeat(128)}","description":null}}]}`;
    const { status, text } = await bench.acme.send('POST', '/v1/chat/completions', body, {
      'content-type': 'application/json',
    });
    assert.equal(status, 200, text);
    const [{ tools, messages: sent }] = worker.requests as unknown as [
      { tools: Record<string, unknown>[]; messages: { tool_calls: { function: object }[] }[] },
    ];
    assert.deepEqual(tools, [{ ...JSON.parse(tool), exact_json: tool }, named('n'.repeat(128))]);
    assert.deepEqual(sent[1]!.tool_calls[0]!.function, {
      name: 'a.b:c/d',
      arguments: { b: Number('12345678901234567890') },
      exact_json: '{"b": 12345678901234567890}',
    });
  });

  test('must have schemas that answers can follow only where they must be followed', async () => {
    const worker = await start(hello);
    const good = named('good');
    const bad = named('bad', { type: 'object', properties: { a: { type: 'string', pattern: '(a)\\1' } } });
    const strict = named('strict', { type: 'object', not: {} }, { strict: true });
    const tools = [good, bad, strict];
    const chosen = (name: string) => ({ type: 'function', function: { name } });
    for (const tool_choice of ['auto', 'none', chosen('good')]) {
      const { status, text } = await chat({ tools, tool_choice });
      assert.equal(status, 200, text);
    }
    const param = (i: number) => `tools[${i}].function.parameters`;
    assertError(await chat({ tools, tool_choice: 'required' }), 400, 'invalid_value', param(1));
    assertError(await chat({ tools, tool_choice: chosen('strict') }), 400, 'invalid_value', param(2));
    const json = { response_format: { type: 'json_object' } };
    assertError(await chat({ tools: [strict], ...json }), 400, 'invalid_value', param(0));
    assert.equal(worker.requests.length, 3);
  });
});

describe('chat completions', () => {
  test('the whole answer, and what the worker is asked', async () => {
    const worker = await start(hello);
    const answer = await chat({
      messages: [
        { role: 'developer', content: 'Be kind.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'H' },
            { type: 'text', text: 'i' },
          ],
          name: 'Ann',
        },
      ],
      max_completion_tokens: 9,
      temperature: 0,
      stop: 'END',
      seed: 3,
      n: 1,
      presence_penalty: 0,
      tools: [],
      logit_bias: null,
      user: 'u',
    });
    assert.equal(answer.status, 200, answer.text);
    const { id, created, ...rest } = answer.json;
    assert.match(id, /^chatcmpl-/);
    assert.ok(Math.abs(created - Date.now() / 1000) < 60);
    assert.deepEqual(rest, {
      object: 'chat.completion',
      model: 'tiny',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello ½', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
    });
    assert.deepEqual(worker.requests, [
      {
        base_model: 'tiny',
        adapter: null,
        messages: [
          { role: 'developer', content: 'Be kind.' },
          { role: 'user', content: 'Hi', name: 'Ann' },
        ],
        max_tokens: 9,
        temperature: 0,
        top_p: 1,
        stop: ['END'],
        seed: 3,
      },
    ]);
  });

  test('streamed, as chunks that end in [DONE]', async () => {
    await start(hello);
    const answer = await chat({ stream: true, stream_options: { include_usage: true } });
    assert.equal(answer.headers.get('content-type'), 'text/event-stream');
    const events = eventsOf(answer.text);
    assert.equal(events.pop(), '[DONE]');
    assertPieces(ChatCompletionChunkSchema, events);
    const usage = events.pop();
    assert.deepEqual([usage.choices, usage.usage.total_tokens], [[], 7]);
    assert.deepEqual(
      events.map((chunk) => [chunk.object, chunk.choices[0].delta, chunk.choices[0].finish_reason]),
      [
        ['chat.completion.chunk', { role: 'assistant', content: '', refusal: null }, null],
        ['chat.completion.chunk', { content: 'Hel' }, null],
        ['chat.completion.chunk', { content: 'lo ½' }, null],
        ['chat.completion.chunk', {}, 'stop'],
      ],
    );
    assert.equal(new Set(events.map((chunk) => chunk.id)).size, 1);
    assert.ok(events.every((chunk) => chunk.usage === null));
    assert.ok(eventsOf((await chat({ stream: true })).text).every((chunk) => !('usage' in Object(chunk))));
  });

  test('tokens are sent as they come, even cut inside a character', async () => {
    let finish = () => {};
    await start(async (_body, response) => {
      response.writeHead(200);
      const line = Buffer.from(`${JSON.stringify(token('½'))}\n`);
      response.write(line.subarray(0, line.indexOf(0xc2) + 1));
      await sleep(20);
      response.write(line.subarray(line.indexOf(0xc2) + 1));
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      response.end(`${JSON.stringify(done('length'))}\n`);
    });
    const response = await fetch(`${bench.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', messages, stream: true }),
    });
    let text = '';
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    while (!text.includes('½')) text += (await reader.read()).value;
    assert.ok(!text.includes('[DONE]'));
    finish();
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    assert.match(text, /"finish_reason":"length".*\[DONE\]\n\n$/s);
  });

  test('a fine-tuned model is served with its adapter, only to its team', async () => {
    const { version } = await publishAdapter(bench, bench.acme, 'poet');
    const worker = await start(hello);
    const answer = await chat({ model: version.modelName });
    assert.equal(answer.json.model, version.modelName);
    assert.deepEqual(
      [worker.requests[0].base_model, worker.requests[0].adapter],
      [
        'tiny',
        { version_id: version.id, artifact: version.artifact, suspect: false, base_digest: 'b'.repeat(64) },
      ],
    );
    const body = { model: version.modelName, messages };
    assertError(
      await bench.other.send('POST', '/v1/chat/completions', body),
      404,
      'model_not_found',
      'model',
    );
    assertError(await chat({ model: 'none' }), 404, 'model_not_found', 'model');
    assert.equal(worker.requests.length, 1);
  });

  test('a classifier writes no text, and no worker is asked', async () => {
    const { version } = await publishAdapter(bench, bench.acme, 'sorter', 'SEQ_CLS');
    const worker = await start(hello);
    const model = version.modelName;
    for (const answer of [
      await chat({ model }),
      await chat({ model, stream: true }),
      await complete({ model }),
    ]) {
      const message = assertError(answer, 400, 'unsupported_task', 'model');
      assert.match(message, /does SEQ_CLS and does not generate text.*POST \/v1\/classify/);
    }
    assert.equal(worker.requests.length, 0);
  });

  test('what Graft cannot do is refused, named, and never ignored', async () => {
    const worker = await start(hello);
    assertError(await chat({ n: 9 }), 400, 'invalid_value', 'n');
    assertError(await chat({ functions: [{ name: 'f' }] }), 400, 'unsupported_parameter', 'functions');
    assertError(
      await chat({ tools: [{ type: 'custom', function: { name: 'f' } }] }),
      400,
      'invalid_value',
      'tools[0].type',
    );
    assertError(await chat({ top_logprobs: 2 }), 400, 'invalid_value', 'top_logprobs');
    assertError(await chat({ logprobs: true, top_logprobs: 21 }), 400, 'invalid_value', 'top_logprobs');
    assertError(await complete({ logprobs: 6 }), 400, 'invalid_value', 'logprobs');
    assertError(
      await chat({ response_format: { type: 'xml' } }),
      400,
      'invalid_value',
      'response_format.type',
    );
    assertError(await chat({ web_search_options: { a: 1 } }), 400, 'unsupported_parameter');
    assertError(await chat({ top_a: 0.2 }), 400, 'unknown_parameter', 'top_a');
    assertError(await chat({ messages: [] }), 400, 'invalid_value', 'messages');
    assertError(
      await chat({ messages: [{ role: 'robot', content: 'x' }] }),
      400,
      'invalid_value',
      'messages[0].role',
    );
    const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }];
    const refused = await chat({ messages: image });
    assert.equal(
      assertError(refused, 400, 'invalid_value', 'messages[0].content[0].type'),
      'Invalid \'messages[0].content[0].type\': must be "text" (images, audio and files are not read).',
    );
    assertError(await chat({ temperature: 3 }), 400, 'invalid_value', 'temperature');
    assertError(await chat({ temperature: '0' }), 400, 'invalid_value', 'temperature');
    assertError(await chat({ max_tokens: 0 }), 400, 'invalid_value', 'max_tokens');
    assertError(await chat({ stop: ['a', 'b', 'c', 'd', 'e'] }), 400, 'invalid_value', 'stop');
    assertError(await complete({ prompt: ['a', 'b'] }), 400, 'invalid_value', 'prompt');
    assertError(await complete({ echo: true }), 400, 'unsupported_parameter', 'echo');
    assert.equal(worker.requests.length, 0);
  });
});

describe('completions', () => {
  test('the whole answer and the stream', async () => {
    const worker = await start(hello);
    const { id, created, ...rest } = (await complete()).json;
    assert.match(id, /^cmpl-/);
    assert.equal(typeof created, 'number');
    assert.deepEqual(rest, {
      object: 'text_completion',
      model: 'tiny',
      choices: [{ index: 0, text: 'Hello ½', logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
    });
    assert.equal(worker.requests[0].prompt, 'Once');
    assert.equal(worker.requests[0].max_tokens, 16);
    const events = eventsOf((await complete({ stream: true, prompt: ['Once'] })).text);
    assert.equal(events.pop(), '[DONE]');
    assertPieces(CompletionChunkSchema, events);
    assert.deepEqual(
      events.map((chunk) => [chunk.object, chunk.choices[0].text, chunk.choices[0].finish_reason]),
      [
        ['text_completion', 'Hel', null],
        ['text_completion', 'lo ½', null],
        ['text_completion', '', 'stop'],
      ],
    );
  });
});
