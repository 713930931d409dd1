import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import multipart from '@fastify/multipart';
import { waitForRow } from '@graft/service/database';
import type { Identity } from '@graft/service/keys';
import Fastify from 'fastify';
import { errors } from './errors.ts';
import { jsonBody } from './json-body.ts';
import { turns } from './turns.ts';

const app = Fastify({ forceCloseConnections: true });
let url: string;
/** Teams whose requests have started, in order. */
const started: string[] = [];
let answer: () => void;
let answered: Promise<void>;
/** True where another transaction holds every row. */
let locked = false;

before(async () => {
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    request.caller = { teamId: String(request.headers.team) } as Identity;
  });
  await app.register(errors);
  await app.register(turns);
  await app.register(jsonBody);
  await app.register(multipart);
  app.get('/work', async (request) => {
    started.push(request.caller.teamId);
    await answered;
    return {};
  });
  app.post('/checked', async (request) => {
    started.push(request.caller.teamId);
    await answered;
    return {};
  });
  app.post('/write', async (request) => {
    started.push(request.caller.teamId);
    await answered;
    return {};
  });
  app.post('/upload', { config: { longBody: true } }, async (request, reply) => {
    await reply.inTurn(async () => {
      started.push(request.caller.teamId);
      await answered;
    });
    return {};
  });
  app.post('/row/:name', async (request) => {
    started.push(request.caller.teamId);
    await waitForRow((request.params as { name: string }).name, async () => {
      if (locked) throw Object.assign(new Error('locked'), { code: '55P03' });
    });
    return {};
  });
  app.get('/broken', async () => {
    throw new Error('broken');
  });
  app.get('/long', async (_request, reply) => {
    reply.endTurn();
    await answered;
    return {};
  });
  url = await app.listen({ host: '127.0.0.1', port: 0 });
});
beforeEach(() => {
  started.length = 0;
  answered = new Promise((resolve) => {
    answer = resolve;
  });
});
after(async () => await app.close());

async function ask(team: string, path = '/work', signal?: AbortSignal): Promise<number> {
  const { status } = await fetch(url + path, { headers: { team }, ...(signal && { signal }) });
  return status;
}

async function post(team: string, path: string): Promise<number> {
  const body = path === '/upload' ? new FormData() : null;
  return (await fetch(url + path, { method: 'POST', headers: { team }, body })).status;
}

async function untilBegun(count: number): Promise<void> {
  for (let i = 0; i < 400 && started.length < count; i++) await sleep(10);
  assert.equal(started.length, count);
}

test("a team's many requests take turns with another's few, and with none that waits for a worker", async () => {
  const waiting = Array.from({ length: 10 }, () => ask('greedy', '/long'));
  const greedy = Array.from({ length: 40 }, () => ask('greedy'));
  await untilBegun(8);
  const other = ask('other');
  await untilBegun(9);
  assert.deepEqual(started, [...Array(8).fill('greedy'), 'other']);
  answer();
  assert.deepEqual(new Set(await Promise.all([...waiting, ...greedy, other])), new Set([200]));
  await untilBegun(41);
});

test('a turn ends with an error, and one of a client that has hung up is not taken', async () => {
  for (let i = 0; i < 20; i++) assert.equal(await ask('one', '/broken'), 500);
  const first = Array.from({ length: 8 }, () => ask('one'));
  await untilBegun(8);
  const gone = new AbortController();
  const left = Array.from({ length: 5 }, () => ask('one', '/work', gone.signal).catch(() => 0));
  await sleep(200);
  gone.abort();
  await Promise.all(left);
  await sleep(200);
  answer();
  await Promise.all([...first, ask('one')]);
  assert.equal(started.length, 9);
});

test('of one team one large body is parsed and checked at a time, whatever becomes of it; of others too, and small ones', async () => {
  const post = async (team: string, body: string, signal?: AbortSignal) => {
    const headers = { team, 'content-type': 'application/json' };
    return (
      await fetch(`${url}/checked`, { method: 'POST', headers, body, ...(signal && { signal }) }).catch(
        () => ({ status: 0 }),
      )
    ).status;
  };
  const large = JSON.stringify({ text: 'x'.repeat(8000) });
  const gone = new AbortController();
  const first = post('one', large);
  await untilBegun(1);
  const rest = [post('one', large, gone.signal), post('one', `${large}}`), post('one', large)];
  const others = [post('other', large), post('one', '{}')];
  await untilBegun(3);
  await sleep(200);
  assert.deepEqual(started.toSorted(), ['one', 'one', 'other']);
  gone.abort();
  await sleep(100);
  answer();
  assert.deepEqual(await Promise.all([first, ...rest, ...others]), [200, 0, 400, 200, 200, 200]);
  assert.deepEqual(started.toSorted(), ['one', 'one', 'one', 'other']);
});

test('requests that write hold no turn of requests that only read, not even of the same team', async () => {
  const teams = Array.from({ length: 8 }, (_, i) => `team ${i}`);
  const writers = teams.flatMap((team) => Array.from({ length: 6 }, () => post(team, '/write')));
  await untilBegun(16);
  const readers = [...teams, 'other'].map((team) => ask(team));
  await untilBegun(25);
  assert.deepEqual(started.slice(16).toSorted(), [...teams, 'other'].toSorted());
  answer();
  assert.deepEqual(new Set(await Promise.all([...writers, ...readers])), new Set([200]));
});

test('of one team two requests that write work at a time, its uploads among them', async () => {
  const paths = Array.from({ length: 16 }, (_, i) => (i % 2 ? '/write' : '/upload'));
  const greedy = paths.map((path) => post('greedy', path));
  await untilBegun(2);
  const others = [post('other', '/upload'), post('another', '/write')];
  await untilBegun(4);
  await sleep(200);
  assert.deepEqual(started.toSorted(), ['another', 'greedy', 'greedy', 'other']);
  answer();
  assert.deepEqual(new Set(await Promise.all([...greedy, ...others])), new Set([200]));
});

test('requests that wait for locked rows hold no turn', async () => {
  locked = true;
  const waiting = Array.from({ length: 30 }, (_, i) => post('one', `/row/${i % 3}`));
  await untilBegun(30);
  locked = false;
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set([200]));
});

test('a request that has waited too long for its turn is refused with 503, before it has cost anything', async () => {
  const first = Array.from({ length: 8 }, () => ask('one'));
  await untilBegun(8);
  const late = await fetch(`${url}/work`, { headers: { team: 'one' } });
  assert.deepEqual([late.status, late.headers.get('retry-after')], [503, '5']);
  assert.equal(((await late.json()) as { error: { code: string } }).error.code, 'overloaded');
  assert.equal(started.length, 8);
  answer();
  await Promise.all(first);
  assert.equal(await ask('one'), 200);
});
