import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@graft/service/logger';
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
    60_000,
  );
  assert.deepEqual(seen, ['slow', 'last']);
});

it('waits for no step longer than it may take, and runs the later ones all the same', async () => {
  const seen: string[] = [];
  const steps = [
    { name: 'endless', run: () => new Promise(() => {}) },
    { name: 'last', run: () => seen.push('last') },
  ];
  await shutDown(steps, createLogger({ level: 'silent', name: 'test' }), 30);
  assert.deepEqual(seen, ['last']);
});
