import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { registerWorker, removeWorker } from '@graft/service/workers';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
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

/** The JSON of each server-sent event; `[DONE]` as text. */
function eventsOf(text: string) {
  return text
    .split('\n\n')
    .filter(Boolean)
    .map((message) => message.replace(/^data: /, ''))
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)));
}

describe('workers that do not answer', () => {
  test('none: 503 with Retry-After, also for a stream', async () => {
    for (const stream of [false, true]) {
      const answer = await chat({ stream });
      assertError(answer, 503, 'no_worker_available');
      assert.match(answer.headers.get('retry-after')!, /^\d+$/);
    }
  });

  test('one that comes within the wait is used', async () => {
    const [answer] = await Promise.all([chat(), sleep(100).then(() => start(hello))]);
    assert.equal(answer.status, 200, answer.text);
  });

  test('busy and unreachable ones are passed over', async () => {
    await start((_body, response) => {
      response.writeHead(503, { 'retry-after': '2' }).end('{}');
    });
    await registerWorker(bench.services, {
      id: 'worker-gone',
      address: 'http://127.0.0.1:9',
      hostname: 'x',
      pid: 1,
      slots: 0,
    });
    const free = await start(hello);
    try {
      for (let i = 0; i < 5; i++) assert.equal((await chat()).status, 200);
    } finally {
      await removeWorker(bench.services, 'worker-gone');
    }
    assert.equal(free.requests.length, 5);
    await free.close();
    assertError(await chat(), 503, 'no_worker_available');
  });

  test("a worker's report of a user's fault is the answer", async () => {
    const fault = {
      type: 'error',
      status: 400,
      code: 'context_length_exceeded',
      message: 'Too long.',
      param: 'messages',
    };
    await start(says(fault));
    for (const stream of [false, true]) {
      assert.equal(
        assertError(await chat({ stream }), 400, 'context_length_exceeded', 'messages'),
        'Too long.',
      );
    }
  });

  test("a worker's own fault is 502 without its words; a lost generator is passed over", async () => {
    const secret = { type: 'error', status: 500, code: 'boom', message: '/secret/path', param: null };
    const worker = await start(says(secret));
    const answer = await chat();
    assertError(answer, 502, 'worker_failed');
    assert.ok(!answer.text.includes('secret'));
    worker.answer = says({ type: 'error', status: 503, code: 'generator_lost', message: 'x', param: null });
    assertError(await chat(), 503, 'no_worker_available');
    worker.answer = (_body, response) => {
      response.writeHead(500).end('oops');
    };
    assertError(await chat(), 502, 'worker_failed');
    worker.answer = says(token('Hel'));
    assertError(await chat(), 502, 'worker_failed');
    worker.answer = (_body, response) => {
      response.writeHead(200).end('not json\n');
    };
    assertError(await chat(), 502, 'worker_failed');
    worker.answer = says({ type: 'token', text: 3 });
    assertError(await chat(), 502, 'worker_failed');
  });

  test('one that breaks off in a stream ends it with an error and no [DONE]', async () => {
    await start((_body, response) => {
      response.writeHead(200);
      response.write(`${JSON.stringify(token('Hel'))}\n`);
      setTimeout(() => response.destroy(), 50);
    });
    const events = eventsOf((await chat({ stream: true })).text);
    assert.equal(events.at(-1).error.code, 'worker_failed');
    assert.deepEqual(Object.keys(events.at(-1).error).sort(), ['code', 'message', 'param', 'type']);
    assert.ok(!events.includes('[DONE]'));
  });

  test('a client that hangs up makes the worker stop, before and in the answer', async () => {
    for (const stream of [false, true]) {
      const hangUp = new AbortController();
      const stopped = new Promise<void>((resolve) => {
        void start((_body, response) => {
          response.writeHead(200);
          response.write(`${JSON.stringify(token('Hel'))}\n`);
          response.on('close', () => resolve());
          setTimeout(() => hangUp.abort(), 50);
        });
      });
      await sleep(50);
      const request = fetch(`${bench.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'tiny', messages, stream }),
        signal: hangUp.signal,
      });
      await request.then((response) => response.text()).catch(() => {});
      await stopped;
      await closeAll();
    }
  });
});
