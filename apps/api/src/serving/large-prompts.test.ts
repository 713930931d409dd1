/** A team's large prompts are sent to workers one after another. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { done, type ScriptedWorker, says, startScriptedWorker, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
let worker: ScriptedWorker;
/** First letters of the prompts that the worker has received, and the responses it has not sent. */
const asked: string[] = [];
const owed: ServerResponse[] = [];
before(async () => {
  bench = await openApiBench({ workerWaitMs: 200 });
  worker = await startScriptedWorker(bench.services, 'worker-0', (body, response) => {
    asked.push(body.prompt.slice(0, 2));
    owed.push(response);
  });
});
after(async () => {
  await worker?.close();
  await bench?.close();
});

const body = (name: string, characters: number) => ({ model: 'tiny', prompt: name.padEnd(characters, '.') });
const large = 200_000;

async function untilAsked(count: number): Promise<void> {
  for (let i = 0; i < 800 && asked.length < count; i++) await sleep(25);
  assert.equal(asked.length, count, asked.join());
}
const answerNext = () => says(token('a'), done())({}, owed.shift()!, undefined as never);

test('one at a time until its answer begins, while small ones and those of another team continue', async () => {
  const hangUp = new AbortController();
  const complete = (name: string, characters: number, team: 'acme' | 'other' = 'acme') =>
    bench[team].send('POST', '/v1/completions', body(name, characters));
  const answers = [complete('l1', large)];
  await untilAsked(1);
  const leaving = fetch(`${bench.url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body('l2', large)),
    signal: hangUp.signal,
  }).catch(() => null);
  await sleep(300);
  answers.push(complete('l3', large));
  await sleep(300);
  answers.push(complete('s1', 10), complete('g1', large, 'other'));
  await untilAsked(3);
  assert.deepEqual(asked.toSorted(), ['g1', 'l1', 's1']);
  hangUp.abort();
  await leaving;
  answerNext();
  await untilAsked(4);
  assert.equal(asked.at(-1), 'l3', 'the one whose client has left was not sent');
  while (owed.length > 0) answerNext();
  for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200, answer.text);
});
