/** A Redis that is down, hangs, or comes back empty. Needs the `redis-server` program; each test starts its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';

const missing = spawnSync('redis-server', ['--version']).error ? 'redis-server is not installed' : false;

describe('Redis away', { skip: missing }, () => {
  let port: number;
  let redis: ChildProcess | null = null;
  let services: Services;

  async function startRedis(): Promise<void> {
    redis = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
      { stdio: 'ignore' },
    );
    const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: null });
    client.on('error', () => {});
    await client.ping();
    client.disconnect();
  }

  async function stopRedis(): Promise<void> {
    if (!redis || redis.exitCode !== null || redis.signalCode !== null) return;
    const ended = once(redis, 'exit');
    redis.kill('SIGKILL');
    await ended;
  }

  before(async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
    server.close();
    await startRedis();
    services = await openTestServices({ role: 'worker', env: { REDIS_URL: `redis://127.0.0.1:${port}` } });
  });
  after(async () => {
    await services.close();
    await stopRedis();
  });

  /** Returns the seconds until the promise rejects. */
  async function secondsToReject(work: Promise<unknown>): Promise<number> {
    const start = performance.now();
    await assert.rejects(work);
    return (performance.now() - start) / 1000;
  }

  test('a ring to a Redis that is down rejects at once, and everything heals when it is back, empty', async () => {
    const heard: number[] = [];
    const consumer = await services.queue.consume(async ({ epoch }) => void heard.push(epoch), {
      concurrency: 1,
    });
    await services.queue.ring({ id: 'ftjob-a', epoch: 1 });
    await stopRedis();
    assert.ok((await secondsToReject(services.queue.ring({ id: 'ftjob-a', epoch: 2 }))) < 3);
    assert.ok((await secondsToReject(services.queue.depth())) < 3);

    await startRedis();
    // Repeats the ring as the reconciler does.
    for (const end = performance.now() + 30_000; !heard.includes(3); await sleep(200)) {
      assert.ok(performance.now() < end, 'heard again in time');
      await services.queue.ring({ id: 'ftjob-a', epoch: 3 }).catch(() => {});
    }
    await consumer.close();
  });

  test('a ring to a Redis that hangs rejects within a few seconds', async () => {
    redis!.kill('SIGSTOP');
    try {
      assert.ok((await secondsToReject(services.queue.ring({ id: 'ftjob-b', epoch: 1 }))) < 8);
    } finally {
      redis!.kill('SIGCONT');
    }
  });

  test('services open and close while Redis is down', async () => {
    await stopRedis();
    const start = performance.now();
    const opened = await openTestServices({ role: 'api', env: { REDIS_URL: `redis://127.0.0.1:${port}` } });
    const consumer = await opened.queue.consume(async () => {}, { concurrency: 1 });
    await assert.rejects(opened.queue.ring({ id: 'ftjob-c', epoch: 1 }));
    await consumer.close();
    await opened.close();
    assert.ok(performance.now() - start < 20_000);
  });
});
