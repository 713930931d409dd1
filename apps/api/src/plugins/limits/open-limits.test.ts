import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertError } from '../../testing/assert-error.ts';
import {
  type ApiBench,
  answerOf,
  type Caller,
  chatLine,
  openApiBench,
} from '../../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  const few = { requests: 4, uploads: 1, streams: 2, completions: 1 };
  bench = await openApiBench({
    workerWaitMs: 3_000,
    openLimits: {
      perKey: few,
      perTeam: { requests: 5, uploads: 2, streams: 3, completions: 2 },
      perAddress: { requests: 6, uploads: 2, streams: 3, completions: 3, connections: 20 },
    },
  });
});
after(async () => await bench?.close());

/** Opens `count` event streams, and returns the controller that closes them. */
async function openStreams(team: Caller, jobId: string, count: number) {
  const hangUp = new AbortController();
  const path = `${bench.url}/v1/fine_tuning/jobs/${jobId}/events?stream=true`;
  const headers = { authorization: `Bearer ${team.key}` };
  for (let i = 0; i < count; i++) {
    const { status } = await fetch(path, { headers, signal: hangUp.signal });
    if (status !== 200) hangUp.abort();
    assert.equal(status, 200);
  }
  return hangUp;
}

async function newJob(team: Caller): Promise<string> {
  const training_file = await team.upload(chatLine);
  return (await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file })).json.id;
}

/** Waits until the server has noticed what the client did. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await sleep(25);
  }
  assert.fail('waited in vain');
}

test('streams are capped by key and by address, and free again when the client hangs up', async () => {
  const [mine, theirs] = [await newJob(bench.acme), await newJob(bench.other)];
  const events = (id: string) => `/v1/fine_tuning/jobs/${id}/events?stream=true`;
  const streams = await openStreams(bench.acme, mine, 2);
  const third = await bench.acme.send('GET', events(mine));
  assert.equal(third.status, 429);
  assert.equal(third.json.error.code, 'too_many_requests');
  assert.equal(third.json.error.type, 'rate_limit_error');
  assert.match(third.json.error.message, /key has 2 streams open, and 2 is the limit/);
  assert.match(third.headers.get('retry-after')!, /^\d+$/);
  // Other requests still succeed, and another team has its own limit.
  assert.equal((await bench.acme.send('GET', '/v1/files')).status, 200);
  const others = await openStreams(bench.other, theirs, 1);
  const beyond = await bench.other.send('GET', events(theirs));
  assert.match(beyond.json.error.message, /address has 3 streams open/);
  streams.abort();
  others.abort();
  await until(async () => {
    const again = await openStreams(bench.acme, mine, 2).catch(() => null);
    again?.abort();
    return again !== null;
  });
});

test('uploads and requests of a key are capped', async () => {
  const openSlow = (path: string, headers: string) => {
    const socket = connect(Number(new URL(bench.url).port), '127.0.0.1');
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bench.acme.key}\r\n${headers}\r\n\r\n`,
    );
    return socket;
  };
  /** Opens the request again if it was refused, because another request was still open when it arrived. */
  const reopened = (socket: Socket, path: string, headers: string) => {
    if (socket.readableLength === 0) return socket;
    socket.destroy();
    return openSlow(path, headers);
  };

  const upload = 'Content-Length: 1000\r\nContent-Type: multipart/form-data; boundary=b';
  let slow = openSlow('/v1/files', upload);
  await until(async () => {
    slow = reopened(slow, '/v1/files', upload);
    const form = new FormData();
    form.set('purpose', 'none');
    const answer = await bench.acme.send('POST', '/v1/files', form);
    return answer.status === 429 && /1 uploads open/.test(answer.json.error.message);
  });
  slow.destroy();
  await until(async () => await bench.acme.upload(chatLine).then(Boolean, () => false));

  const job = await newJob(bench.acme);
  const streams = await openStreams(bench.acme, job, 2);
  const completion = ['/v1/completions', 'Content-Length: 9\r\nContent-Type: application/json'] as const;
  let waiting = [openSlow(...completion), openSlow(...completion)];
  await until(async () => {
    waiting = waiting.map((socket) => reopened(socket, ...completion));
    return (await bench.acme.send('GET', '/v1/files')).status === 429;
  });
  const refused = await bench.acme.send('GET', '/v1/files');
  assert.match(refused.json.error.message, /key has 4 requests open/);
  assert.equal((await bench.other.send('GET', '/v1/files')).status, 200);
  assert.equal((await fetch(`${bench.url}/healthz`)).status, 200);
  for (const socket of waiting) socket.destroy();
  streams.abort();
  await until(async () => (await bench.acme.send('GET', '/v1/files')).status === 200);
});

test('completions are capped by key, and by team over all its keys', async () => {
  const [one, two, three] = [
    await bench.caller(bench.acme, 'member'),
    await bench.caller(bench.acme, 'member'),
    await bench.caller(bench.acme, 'member'),
  ];
  // Each waits for a worker, of which there is none.
  const complete = (caller: Caller) =>
    caller.send('POST', '/v1/completions', { model: 'tiny', prompt: 'a', max_tokens: 1 });
  for (const [callers, limit] of [
    [[one, one], /key has 1 completions open, and 1 is the limit/],
    [[one, two, three], /team has 2 completions open, and 2 is the limit/],
  ] as const) {
    const answers = await Promise.all(callers.map(complete));
    const refused = answers.filter(({ status }) => status === 429);
    assert.equal(refused.length, 1);
    assert.match(refused[0]!.json.error.message, limit);
    const others = answers.filter(({ status }) => status === 503);
    assert.equal(others.length, callers.length - 1);
  }
  // They no longer count.
  assert.equal((await complete(one)).status, 503);
});

test('connections of an address are capped', async () => {
  const { port } = new URL(bench.url);
  const sockets = Array.from({ length: 30 }, () => connect(Number(port), '127.0.0.1').on('error', () => {}));
  let closed = 0;
  for (const socket of sockets) socket.on('close', () => closed++);
  await until(async () => closed >= 10);
  for (const socket of sockets) socket.destroy();
  await until(async () => (await fetch(`${bench.url}/healthz`).catch(() => null))?.status === 200);
  assertError(await answerOf(await fetch(`${bench.url}/v1/files`)), 401, 'missing_api_key');
});
