/** Several answers to one prompt, and a conversation that goes on with an answer as a client has it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { done, type ScriptedWorker, says, startScriptedWorker, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
let workers: ScriptedWorker[] = [];
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());
afterEach(async () => {
  for (const worker of workers) await worker.close();
  workers = [];
});

async function start(answer: ScriptedWorker['answer']): Promise<ScriptedWorker> {
  const worker = await startScriptedWorker(bench.services, `worker-${workers.length}`, answer);
  workers.push(worker);
  return worker;
}

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

test('several answers to one prompt, each with a seed of its own', async () => {
  const worker = await start((body, response, request) =>
    says(token(`seed ${body.seed}`), token('.'), done(body.seed === 9 ? 'length' : 'stop'))(
      body,
      response,
      request,
    ),
  );
  const whole = (await chat({ n: 3, seed: 8 })).json;
  assert.deepEqual(
    whole.choices.map((choice: { index: number; message: { content: string }; finish_reason: string }) => [
      choice.index,
      choice.message.content,
      choice.finish_reason,
    ]),
    [
      [0, 'seed 8.', 'stop'],
      [1, 'seed 9.', 'length'],
      [2, 'seed 10.', 'stop'],
    ],
  );
  assert.deepEqual(whole.usage, { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 });
  const wrapped = (await complete({ n: 2, seed: 2_147_483_647 })).json;
  assert.deepEqual(
    wrapped.choices.map((choice: { text: string }) => choice.text),
    ['seed 2147483647.', 'seed 0.'],
  );
  const include = { stream: true, stream_options: { include_usage: true } };
  const chunks = eventsOf((await chat({ n: 2, seed: 8, ...include })).text);
  assert.equal(chunks.pop(), '[DONE]');
  assert.deepEqual(chunks.pop().usage, { prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 });
  assert.deepEqual(
    chunks.map(({ choices: [{ index, delta, finish_reason }] }) => [
      index,
      delta.role ?? delta.content ?? finish_reason,
    ]),
    [
      [0, 'assistant'],
      [0, 'seed 8'],
      [0, '.'],
      [0, 'stop'],
      [1, 'assistant'],
      [1, 'seed 9'],
      [1, '.'],
      [1, 'length'],
    ],
  );
  assert.equal(worker.requests.length, 7);
});

test('a fault in a later answer is told, and no answer is half of one', async () => {
  await start((body, response, request) =>
    body.seed === 8
      ? says(token('a'), done())(body, response, request)
      : says({ type: 'error', status: 400, code: 'empty_prompt', message: 'No tokens.', param: null })(
          body,
          response,
          request,
        ),
  );
  assertError(await chat({ n: 2, seed: 8 }), 400, 'empty_prompt');
  const chunks = eventsOf((await chat({ n: 2, seed: 8, stream: true })).text);
  assert.equal(chunks.at(-1).error.code, 'empty_prompt');
});

test("a client's own message is taken back with its empty fields, and refused with full ones", async () => {
  const worker = await start(hello);
  const empty = { refusal: null, annotations: [], audio: null, function_call: null, tool_calls: null };
  const own = { role: 'assistant', content: 'Hello', ...empty };
  assert.equal((await chat({ messages: [...messages, own, ...messages] })).status, 200);
  assert.deepEqual(worker.requests[0].messages[1], { role: 'assistant', content: 'Hello' });
  const called = { ...own, tool_calls: [{ id: '1', type: 'function' }] };
  assertError(await chat({ messages: [called] }), 400, 'invalid_value', 'messages[0].tool_calls');
});
