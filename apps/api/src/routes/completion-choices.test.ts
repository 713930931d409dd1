/** Several choices for one prompt, and conversations that continue with a response as the client received it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { done, type ScriptedWorker, says, scriptedWorkers, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench({ workerWaitMs: 200 });
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

async function usedTokens(): Promise<number> {
  const { rows } = await bench.services.sql.query(
    `SELECT coalesce(sum(quantity), 0)::int AS sum FROM usage_ledger WHERE team_id = $1 AND kind = 'output_tokens'`,
    [bench.acme.teamId],
  );
  return rows[0].sum;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await holds()) return;
    await sleep(25);
  }
  assert.fail('waited in vain');
}

test('several answers to one prompt, each with a separate seed', async () => {
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
  for (const [index, pieces] of [
    ['assistant', 'seed 8', '.', 'stop'],
    ['assistant', 'seed 9', '.', 'length'],
  ].entries())
    assert.deepEqual(
      chunks
        .filter(({ choices: [choice] }) => choice.index === index)
        .map(({ choices: [{ delta, finish_reason }] }) => delta.role ?? delta.content ?? finish_reason),
      pieces,
    );
  assert.equal(worker.requests.length, 7);
});

test('all answers are asked of one worker at once, for the team, and streamed as they come', async () => {
  const teams: unknown[] = [];
  const held: (() => void)[] = [];
  // No response starts before all three are requested; then each sends tokens in turn.
  const together: ScriptedWorker['answer'] = async (_body, response, request) => {
    teams.push(request.headers['x-graft-team']);
    await new Promise<void>((resolve) => {
      held.push(resolve);
      if (held.length === 3) for (const go of held.splice(0)) go();
    });
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const line of [token('a'), token('b'), token('c'), done()]) {
      response.write(`${JSON.stringify(line)}\n`);
      await sleep(50);
    }
    response.end();
  };
  const [one, other] = [await start(together), await start(together)];
  const chunks = eventsOf((await complete({ n: 3, stream: true })).text);
  assert.deepEqual([one.requests.length, other.requests.length].sort(), [0, 3]);
  assert.deepEqual(teams, Array(3).fill(bench.acme.teamId));
  assert.equal(chunks.pop(), '[DONE]');
  const indices = chunks.map(({ choices: [{ index }] }) => index);
  assert.notDeepEqual(indices, indices.toSorted(), 'their chunks lie between each other');
  const texts = [0, 1, 2].map((index) =>
    chunks.flatMap(({ choices: [choice] }) => (choice.index === index ? choice.text : [])).join(''),
  );
  assert.deepEqual(texts, ['abc', 'abc', 'abc']);
});

test('a worker with memory for one answer computes the others after it', async () => {
  let answering = 0;
  let most = 0;
  await start(async (body, response, request) => {
    if (answering === 1) {
      response.writeHead(503).end();
      return;
    }
    most = Math.max(most, ++answering);
    // Longer than a request waits for a free worker.
    await sleep(600);
    answering--;
    await says(token(`seed ${body.seed}`), done())(body, response, request);
  });
  const { json } = await chat({ n: 3, seed: 1 });
  assert.deepEqual(
    json.choices.map((choice: { message: { content: string } }) => choice.message.content),
    ['seed 1', 'seed 2', 'seed 3'],
  );
  assert.equal(most, 1);
});

test('a client that hangs up ends all of its answers, and what had come of each counts', async () => {
  const open = new Set<unknown>();
  await start((_body, response) => {
    open.add(response);
    response.once('close', () => open.delete(response));
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.write(`${JSON.stringify({ ...token('a'), prompt_tokens: 7, completion_tokens: 3 })}\n`);
  });
  const before = await usedTokens();
  const leaving = new AbortController();
  const answer = await fetch(`${bench.url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', prompt: 'Once', n: 8, stream: true }),
    signal: leaving.signal,
  });
  const reader = answer.body!.getReader();
  let said = '';
  while (said.split('"text":"a"').length <= 8) said += Buffer.from((await reader.read()).value!).toString();
  assert.equal(open.size, 8);
  leaving.abort();
  await until(async () => open.size === 0);
  await until(async () => (await usedTokens()) === before + 8 * 3);
});

test('an error in a later answer is reported, and no partial answer is returned', async () => {
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

test('an assistant message is accepted as returned, with its empty fields, and refused with non-empty ones', async () => {
  const worker = await start(hello);
  const empty = { refusal: null, annotations: [], audio: null, function_call: null, tool_calls: null };
  const own = { role: 'assistant', content: 'Hello', ...empty };
  assert.equal((await chat({ messages: [...messages, own, ...messages] })).status, 200);
  assert.deepEqual(worker.requests[0].messages[1], { role: 'assistant', content: 'Hello' });
  const called = { ...own, tool_calls: [{ id: '1', type: 'function' }] };
  const missing = 'messages[0].tool_calls[0].function';
  assertError(await chat({ messages: [called] }), 400, 'missing_required_parameter', missing);
  assertError(await chat({ messages: [{ ...own, audio: [1] }] }), 400, 'invalid_value', 'messages[0].audio');
});
