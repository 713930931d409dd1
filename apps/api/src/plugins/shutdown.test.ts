import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { done, startScriptedWorker, token } from '../testing/scripted-worker.ts';

test('closing ends streams, finishes responses in progress, and accepts no new requests', async () => {
  const bench = await openApiBench();
  let finish = () => {};
  const worker = await startScriptedWorker(bench.services, 'worker', async (_body, response) => {
    response.writeHead(200).write(`${JSON.stringify(token('Hel'))}\n`);
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    response.end(`${JSON.stringify(token('lo'))}\n${JSON.stringify(done())}\n`);
  });
  const training_file = await bench.acme.upload(chatLine);
  const job = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  const events = bench.acme.send('GET', `/v1/fine_tuning/jobs/${job.json.id}/events?stream=true`);
  const chat = bench.acme.send('POST', '/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'Hi' }],
  });
  while (worker.requests.length === 0) await sleep(10);

  // Services close after the app, so the worker must be removed from the table first.
  const closed = worker.close.bind(worker);
  const closing = bench.app.close();
  const stream = await events;
  assert.equal(stream.status, 200);
  assert.doesNotMatch(stream.text, /\[DONE\]/);
  await assert.rejects(fetch(`${bench.url}/healthz`));
  finish();
  const answer = await chat;
  assert.equal(answer.json.choices[0].message.content, 'Hello');
  await closing;
  await closed();
  await bench.close();
});
