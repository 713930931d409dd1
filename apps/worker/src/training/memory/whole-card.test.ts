import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '@graft/service/jobs';
import { createLogger } from '@graft/service/logger';
import { timedTrainer } from '../../testing/killed-trainer.ts';
import { TrainerProcess } from '../trainer-process.ts';
import { needsWholeCard, withWholeCard } from './whole-card.ts';

const GiB = 2 ** 30;
const job = (peakMemoryBytes: number | null, microBatch?: number, device = 'gpu') =>
  ({
    estimate: peakMemoryBytes === null ? null : { peakMemoryBytes, machine: { device, precision: 'bf16' } },
    requirements: { precision: 'bf16', threads: 1, device: 'gpu', ...(microBatch && { microBatch }) },
  }) as Pick<Job, 'estimate' | 'requirements'>;

test('a job needs the whole card that is estimated to be larger than its part, or ran out of memory', () => {
  const needs = (asked: ReturnType<typeof job>) => needsWholeCard(asked, { sharedBytes: 50 * GiB });
  assert.equal(needs(job(60 * GiB)), true);
  assert.equal(needs(job(40 * GiB)), false);
  assert.equal(needs(job(40 * GiB, 2)), true);
  assert.equal(needs(job(60 * GiB, undefined, 'cpu')), false, 'an estimate for a processor');
  assert.equal(needs(job(null)), false);
});

test('the trainer has the whole card for one job, and its child ends with it', async (t) => {
  const trainer = new TrainerProcess({
    entry: timedTrainer,
    device: { kind: 'cpu' },
    log: createLogger({ level: 'silent', name: 'test' }),
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
    cardBytes: 50 * GiB,
  });
  t.after(() => trainer.close());
  const prove = async () =>
    await trainer.prove({ precision: 'fp32', threads: 1 }, new AbortController().signal);
  await prove();
  const beside = trainer.pid;
  const taken: string[] = [];
  const card = {
    sharedBytes: 50 * GiB,
    wholeBytes: 70 * GiB,
    takeWhole: async () => {
      taken.push('taken');
      return () => void taken.push('released');
    },
  };
  await withWholeCard(job(60 * GiB), trainer, card, async () => {
    assert.equal(trainer.cardBytes, 70 * GiB);
    await prove();
    assert.notEqual(trainer.pid, beside, 'the limit of a process is fixed when it starts');
  });
  assert.deepEqual([trainer.cardBytes, trainer.pid, taken], [50 * GiB, null, ['taken', 'released']]);

  await withWholeCard(job(40 * GiB), trainer, card, prove);
  assert.equal(taken.length, 2, 'a smaller one leaves the generator alone');
  const busy = { ...card, takeWhole: async () => null };
  await withWholeCard(job(60 * GiB), trainer, busy, async () => assert.equal(trainer.cardBytes, 50 * GiB));
});
