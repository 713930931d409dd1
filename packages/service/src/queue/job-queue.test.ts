/** The same behaviour on both backends; redis-away.test.ts tests an unavailable Redis. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import type { Dispatch } from './job-queue.ts';

const redisUrl = process.env.REDIS_URL;

for (const backend of ['postgres', 'redis'] as const) {
  describe(backend, { skip: backend === 'redis' && !redisUrl ? 'REDIS_URL is not set' : false }, () => {
    let services: Services;
    before(async () => {
      services = await openTestServices({
        role: 'worker',
        env: { REDIS_URL: backend === 'redis' ? redisUrl : '' },
      });
    });
    after(async () => await services.close());

    async function until(condition: () => boolean): Promise<void> {
      for (const end = performance.now() + 15_000; !condition(); await sleep(20))
        assert.ok(performance.now() < end);
    }

    test('every ring is heard once, and no more at a time than wanted', async () => {
      assert.equal(services.queue.backend, backend);
      const heard: Dispatch[] = [];
      let now = 0;
      let most = 0;
      const consumer = await services.queue.consume(
        async (lease) => {
          most = Math.max(most, ++now);
          await sleep(50);
          now -= 1;
          heard.push(lease);
        },
        { concurrency: 2 },
      );
      const rings = Array.from({ length: 6 }, (_, i) => ({ id: `ftjob-${i}`, epoch: i }));
      await Promise.all(rings.map((lease) => services.queue.ring(lease)));
      await until(() => heard.length === 6);
      await consumer.close();
      assert.deepEqual(
        heard.toSorted((a, b) => a.epoch - b.epoch),
        rings,
      );
      assert.equal(most, 2);
      assert.equal(await services.queue.depth(), 0);
    });

    test('ringing twice before an answer is ringing once; afterwards it rings again', async () => {
      const lease = { id: 'ftjob-twice', epoch: 3 };
      await services.queue.ring(lease);
      await services.queue.ring(lease);
      assert.equal(await services.queue.depth(), 1);
      await services.queue.ring({ ...lease, epoch: 4 });
      assert.equal(await services.queue.depth(), 2);
      const heard: number[] = [];
      const consumer = await services.queue.consume(async ({ epoch }) => void heard.push(epoch), {
        concurrency: 1,
      });
      await until(() => heard.length === 2);
      // BullMQ records the completion just after the handler returns.
      await sleep(200);
      await services.queue.ring(lease);
      await until(() => heard.length === 3);
      assert.deepEqual(heard, [3, 4, 3]);
      await consumer.close();
    });

    test('a handler that throws answers its ring, and the next is heard', async () => {
      const heard: string[] = [];
      const consumer = await services.queue.consume(
        async ({ id }) => {
          heard.push(id);
          if (heard.length === 1) throw new Error('no');
        },
        { concurrency: 1 },
      );
      await services.queue.ring({ id: 'ftjob-bad', epoch: 1 });
      await services.queue.ring({ id: 'ftjob-good', epoch: 1 });
      await until(() => heard.length === 2);
      await consumer.close();
      assert.equal(await services.queue.depth(), 0);
    });

    test('closing notifies the handler and waits for it', async () => {
      const steps: string[] = [];
      const consumer = await services.queue.consume(
        async (_, signal) => {
          steps.push('heard');
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          await sleep(100);
          steps.push('handled');
        },
        { concurrency: 1 },
      );
      await services.queue.ring({ id: 'ftjob-long', epoch: 1 });
      await until(() => steps.length === 1);
      await consumer.close();
      assert.deepEqual(steps, ['heard', 'handled']);
    });

    test('two installations do not hear one another', async () => {
      const other = await openTestServices({
        role: 'worker',
        env: { REDIS_URL: backend === 'redis' ? redisUrl : '' },
      });
      try {
        await other.queue.ring({ id: 'ftjob-theirs', epoch: 1 });
        assert.deepEqual([await other.queue.depth(), await services.queue.depth()], [1, 0]);
      } finally {
        await other.close();
      }
    });
  });
}
