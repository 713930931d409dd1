// Sampling parameters and variables of the chat template: which ones requests may have, and what workers receive.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { modelDefaultsHeader } from '@graft/service/channel';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { done, says, scriptedWorkers, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
let strict: ApiBench;
before(async () => {
  bench = await openApiBench();
  strict = await openApiBench({ generationConfig: 'none' });
});
after(async () => {
  await strict?.close();
  await bench?.close();
});
const hello = says(token('Hello'), done());
const chats = ['/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }] }] as const;
const texts = ['/v1/completions', { prompt: 'Once' }] as const;

const workers = scriptedWorkers(() => bench.services);
const strictWorkers = scriptedWorkers(() => strict.services);
afterEach(async () => {
  await workers.closeAll();
  await strictWorkers.closeAll();
});

/** Starts a worker, and records a header of each request to it. */
async function startWorker({ start }: typeof workers) {
  const headers: (string | undefined)[] = [];
  const worker = await start((body, response, request) => {
    headers.push(request.headers[modelDefaultsHeader] as string | undefined);
    return hello(body, response, request);
  });
  return { requests: worker.requests, headers };
}

async function ask(on: ApiBench, [path, body]: typeof chats | typeof texts, more: object = {}) {
  return await on.acme.send('POST', path, { model: 'tiny', ...body, ...more });
}

const all = 'temperature,top_p,top_k,min_p,repetition_penalty';

test('what a request leaves open the model decides, and an earlier worker reads OpenAI’s defaults', async () => {
  const { requests, headers } = await startWorker(workers);
  for (const route of [chats, texts]) {
    assert.equal((await ask(bench, route)).status, 200);
    await ask(bench, route, { temperature: 0, top_k: null, min_p: 0 });
    await ask(bench, route, { generation_config: 'none' });
  }
  const expected = [all, 'top_p,top_k,repetition_penalty', undefined];
  assert.deepEqual(headers, [...expected, ...expected]);
  for (const request of requests) {
    const { top_p, top_k, min_p, repetition_penalty, model_defaults, generation_config } = request;
    const others = [top_k, min_p, repetition_penalty, model_defaults, generation_config];
    assert.deepEqual([top_p, ...others], [1, ...others.map(() => undefined)]);
  }
  assert.deepEqual(
    requests.map(({ temperature }) => temperature),
    [1, 0, 1, 1, 0, 1],
  );
});

test('the operator decides for requests that do not say who does', async () => {
  const { headers } = await startWorker(strictWorkers);
  await ask(strict, chats);
  await ask(strict, chats, { generation_config: 'model' });
  assert.deepEqual(headers, [undefined, all]);
});

test('top_k, min_p and repetition_penalty reach the worker where they change something', async () => {
  const { requests } = await startWorker(workers);
  const given = { top_k: 20, min_p: 0.05, repetition_penalty: 1.1 };
  for (const route of [chats, texts]) {
    await ask(bench, route, given);
    for (const top_k of [0, -1]) await ask(bench, route, { top_k, min_p: 0, repetition_penalty: 1 });
  }
  const found = requests.map(({ top_k, min_p, repetition_penalty: penalty }) => [top_k, min_p, penalty]);
  const none = [undefined, undefined, undefined];
  assert.deepEqual(found, [[20, 0.05, 1.1], none, none, [20, 0.05, 1.1], none, none]);
});

test('values out of range are refused, and named', async () => {
  for (const route of [chats, texts])
    for (const [name, values] of Object.entries({
      top_k: [-2, 1.5, 1_000_001, '5'],
      min_p: [-0.1, 1.1, '0'],
      repetition_penalty: [0, -1, 101, '1'],
      generation_config: ['auto', 7],
    }))
      for (const value of values) {
        const { status, json } = await ask(bench, route, { [name]: value });
        assert.deepEqual([status, json.error?.param], [400, name], `${name} ${value}`);
      }
});

test('variables of the chat template reach the worker, and those of the conversation itself are refused', async () => {
  const { requests } = await startWorker(workers);
  const kwargs = { enable_thinking: false, names: ['a'] };
  for (const chat_template_kwargs of [kwargs, {}, null]) {
    const { status, text } = await ask(bench, chats, { chat_template_kwargs });
    assert.equal(status, 200, text);
  }
  assert.deepEqual(
    requests.map((request) => request.chat_template_kwargs),
    [kwargs, undefined, undefined],
  );
  for (const bad of [7, 'x', [], { messages: [] }, { tools: [] }, { a: 'x'.repeat(5000) }, { 'a b': 1 }]) {
    const { status, json } = await ask(bench, chats, { chat_template_kwargs: bad });
    assert.deepEqual([status, json.error?.param], [400, 'chat_template_kwargs'], JSON.stringify(bad));
  }
  assert.equal((await ask(bench, texts, { chat_template_kwargs: kwargs })).status, 400);
  assert.equal(requests.length, 3);
});
