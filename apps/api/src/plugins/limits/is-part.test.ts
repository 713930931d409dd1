import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import Fastify from 'fastify';
import { timeouts } from '../timeouts.ts';
import { isPart } from './is-part.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('a request of this process is known, and kept no longer than it takes', async (t) => {
  const app = Fastify({ forceCloseConnections: true });
  t.after(async () => await app.close());
  await app.register(timeouts, { bodyTimeoutMs: 3600_000, stallMs: 3600_000 });
  const parts: boolean[] = [];
  const kept: WeakRef<object>[] = [];
  app.post('/', async (request) => {
    parts.push(isPart(request.raw));
    kept.push(new WeakRef(request.raw));
    return { body: request.body };
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const headers = { 'content-type': 'application/json' };
  await (await fetch(url, { method: 'POST', headers, body: '{"a":1}' })).text();
  for (let i = 0; i < 5; i++) {
    const { json } = await app.inject({ method: 'POST', url: '/', payload: { a: 1 } });
    assert.deepEqual(json(), { body: { a: 1 } });
  }
  assert.deepEqual(parts, [false, true, true, true, true, true]);
  // The last request may still be on the stack.
  const alive = () => kept.slice(1, -1).filter((each) => each.deref() !== undefined).length;
  for (let i = 0; i < 50 && alive() > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    collect();
  }
  assert.equal(alive(), 0);
});
