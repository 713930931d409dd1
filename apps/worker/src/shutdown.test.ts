import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@graft/service';
import { shutDown } from './shutdown.ts';

it('runs steps in order, one after another, past one that fails', async () => {
  const seen: string[] = [];
  await shutDown(
    [
      {
        name: 'slow',
        run: async () => {
          await sleep(20);
          seen.push('slow');
        },
      },
      { name: 'broken', run: () => Promise.reject(new Error('broken')) },
      { name: 'last', run: () => seen.push('last') },
    ],
    createLogger({ level: 'silent', name: 'test' }),
  );
  assert.deepEqual(seen, ['slow', 'last']);
});
