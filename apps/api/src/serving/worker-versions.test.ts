import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { done, says, scriptedWorkers, startScriptedWorker, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());
const { start, closeAll } = scriptedWorkers(() => bench.services);
afterEach(closeAll);

const hello = says(token('Hel'), token('lo ½'), done());

async function chat(more: object = {}) {
  const messages = [{ role: 'user', content: 'Hi' }];
  return await bench.acme.send('POST', '/v1/chat/completions', { model: 'tiny', messages, ...more });
}

test('one of another version is passed over, and alone it is a 503 that says so', async () => {
  // The response of Fastify to a field that an earlier version's schema does not have.
  const older = await start((_body, response) => {
    response
      .writeHead(400, { 'content-type': 'application/json' })
      .end(JSON.stringify({ code: 'invalid_request', message: 'body must NOT have additional properties' }));
  });
  for (const stream of [false, true]) {
    const answer = await chat({ stream });
    const message = assertError(answer, 503, 'worker_version_mismatch');
    assert.match(message, /another version of Graft than the API/);
    assert.match(answer.headers.get('retry-after')!, /^\d+$/);
    assert.ok(!answer.text.includes('additional') && !answer.text.includes('127.0.0.1'));
  }
  older.answer = (_body, response) => {
    response.writeHead(503, { 'x-graft-protocol': '2' }).end('{}');
  };
  assertError(await chat(), 503, 'worker_version_mismatch');
  // The worker's row has its version, so no request is sent.
  await bench.services.sql.query("UPDATE workers SET protocol = 2 WHERE id = 'worker-0'");
  const { length } = older.requests;
  assertError(await chat(), 503, 'worker_version_mismatch');
  assertError(await chat({ n: 2 }), 503, 'worker_version_mismatch');
  assert.equal(older.requests.length, length);

  const same = await start(hello);
  for (let i = 0; i < 5; i++) assert.equal((await chat()).status, 200);
  same.answer = (_body, response) => {
    response.writeHead(503, { 'x-graft-protocol': '1' }).end('{}');
  };
  assertError(await chat(), 503, 'no_worker_available');
  same.answer = (_body, response) => {
    response.writeHead(400, { 'x-graft-protocol': '1' }).end('{}');
  };
  assertError(await chat(), 502, 'worker_failed');
});

test('several answers wait for a worker of this version, as one does', async (t) => {
  const patient = await openApiBench({ workerWaitMs: 30_000 });
  const open: { close(): Promise<void> }[] = [patient];
  t.after(async () => {
    for (const one of open.reverse()) await one.close();
  });
  const other = await startScriptedWorker(patient.services, 'other', hello);
  open.push(other);
  await patient.services.sql.query("UPDATE workers SET protocol = 2 WHERE id = 'other'");
  const body = { model: 'tiny', messages: [{ role: 'user', content: 'Hi' }], n: 2 };
  const asked = patient.acme.send('POST', '/v1/chat/completions', body);
  assert.equal(await Promise.race([asked.then(() => 'answered'), sleep(1000, 'waits')]), 'waits');
  const same = await startScriptedWorker(patient.services, 'same', hello);
  open.push(same);
  const { status, text, json } = await asked;
  assert.equal(status, 200, text);
  assert.equal(json.choices.length, 2);
  assert.equal(other.requests.length, 0);
});
