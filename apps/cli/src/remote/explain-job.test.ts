import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FineTuningJob, JobAttempt, JobOutlook } from '@graft/client';
import { explanation } from './explain-job.ts';

const t0 = 1_800_000_000;
const jobOf = (changes: Partial<FineTuningJob>): FineTuningJob =>
  ({
    id: 'ftjob-1',
    status: 'running',
    created_at: t0,
    error: null,
    fine_tuned_model: null,
    queue_position: null,
    progress: {
      step: 1302,
      total_steps: 5000,
      epoch: 1,
      tokens: 1,
      tokens_per_second: 9,
      seconds_remaining: 720,
    },
    ...changes,
  }) as FineTuningJob;

const attempt = (changes: Partial<JobAttempt>): JobAttempt => ({
  id: 'attempt-1',
  object: 'fine_tuning.job.attempt',
  kind: 'training',
  worker: 'worker-3',
  started_at: t0 + 10,
  ended_at: t0 + 610,
  from_step: 0,
  last_step: 1272,
  outcome: 'lost',
  reason: 'The worker was lost.',
  ...changes,
});

const outlook: JobOutlook = {
  run_after: null,
  avoids_worker: null,
  quarantined_workers: [],
  attempts_left: 3,
  requirements: null,
  has_worker: true,
};

/** The paragraphs without the leading times, which depend on this machine's time zone. */
const explained = (...args: Parameters<typeof explanation>) =>
  explanation(...args).map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d {2}/, ''));

test('a lost worker: who, from which step to which, what was repeated, how long it took', () => {
  const validation = { kind: 'validation', from_step: null, last_step: null } as const;
  const lines = explained(
    jobOf({}),
    [
      attempt({
        ...validation,
        worker: 'validator-1',
        ended_at: t0 + 12,
        outcome: 'succeeded',
        reason: null,
      }),
      attempt({}),
      attempt({
        worker: 'worker-5',
        started_at: t0 + 648,
        from_step: 1240,
        ended_at: null,
        last_step: null,
        outcome: null,
        reason: null,
      }),
    ],
    outlook,
  );
  assert.deepEqual(lines, [
    'The job was created.',
    'validator-1 validated the files for 2s. They are valid.',
    'worker-3 trained it from the beginning to step 1,272 for 10m 00s. Then it was lost: it died, froze or was cut off, and its lease ran out. Steps 1,241 to 1,272 were computed again, with the same result. worker-5 continued after 38s.',
    'worker-5 is training it from the checkpoint at step 1,240.',
    'Now: worker-5 is at step 1,302 of 5,000, about 12m 00s left. If it is lost, another worker continues from the last checkpoint; that may happen 2 times without a new checkpoint before the job fails.',
  ]);
});

test('a machine that cannot: the reason, until when the job waits, whom it avoids, and quarantine', () => {
  const lines = explained(
    jobOf({ status: 'queued', queue_position: 4, progress: null }),
    [attempt({ outcome: 'environment', reason: 'Its disk is full.', last_step: 0 })],
    { ...outlook, run_after: t0 + 700, avoids_worker: 'worker-3', quarantined_workers: ['worker-3'] },
  );
  assert.equal(
    lines[1],
    'worker-3 trained it from the beginning to step 0 for 10m 00s. That machine could not run it. Its disk is full. The attempt does not count.',
  );
  assert.match(
    lines[2]!,
    /^Now: it waits until 20\d\d-.*, number 4 in the queue\. Workers other than worker-3, which could not run it, are tried first\. worker-3 is quarantined: its machine failed several jobs in a row\./,
  );
});

test('no worker can continue it: what it started with, and whom to ask', () => {
  const waiting = jobOf({ status: 'queued', progress: null });
  const requirements: NonNullable<JobOutlook['requirements']> = {
    precision: 'bf16',
    threads: 16,
    device: 'cpu',
    kernels: 'avx512bf16',
    gpu: null,
    micro_batch: null,
  };
  const [, now] = explained(waiting, [], { ...outlook, requirements, has_worker: false });
  assert.equal(
    now,
    'Now: it waits for a free slot. No available worker can continue it: it started with bf16 and 16 threads on a CPU with avx512bf16 instructions, and must finish with the same. Ask the operator for such a worker.',
  );
  const onGpu = { ...requirements, device: 'gpu', kernels: 'stock', gpu: 'NVIDIA H100 PCIe' } as const;
  const [, gone] = explained(waiting, [], { ...outlook, requirements: onGpu, has_worker: false });
  assert.match(
    gone!,
    /started with bf16 and 16 threads on the GPU model NVIDIA H100 PCIe, and must finish with the same/,
  );
  const [, fresh] = explained(waiting, [], { ...outlook, has_worker: false });
  assert.match(fresh!, /No available worker can run it\.$/);
});

test('shut down cleanly, nothing was lost; the last attempt that may be lost is announced', () => {
  const released = attempt({ outcome: 'released', last_step: 300, reason: null });
  const next = attempt({
    worker: 'worker-4',
    started_at: t0 + 611,
    from_step: 300,
    ended_at: null,
    outcome: null,
  });
  const lines = explained(jobOf({}), [released, next], { ...outlook, attempts_left: 1 });
  assert.match(
    lines[1]!,
    /released the job\. The attempt does not count\. No step was lost\. worker-4 continued after 1s\.$/,
  );
  assert.match(lines.at(-1)!, /but lost once more without a new checkpoint, the job fails\.$/);
});

test('how it ended, and what to do', () => {
  const of = (changes: Partial<FineTuningJob>) =>
    explained(jobOf(changes), [attempt({ outcome: 'failed', reason: null })], null);
  const error = { code: 'invalid_training_file', message: 'Line 3 is empty', param: null };
  const failed = of({ status: 'failed', error: { ...error, fault: 'user' } });
  assert.match(failed[1]!, /That failed\. Line 3 is empty\.$/);
  assert.equal(
    failed[2],
    'Now: it failed (invalid_training_file). Fix the data or the options, and create the job again.',
  );
  assert.match(
    of({ status: 'failed', error: { ...error, fault: 'system' } })[2]!,
    /report ftjob-1 to its operator/,
  );
  assert.equal(of({ status: 'succeeded', fine_tuned_model: 'ft:x' })[2], 'Now: it succeeded: ft:x');
  assert.match(of({ status: 'paused' })[2]!, /graft jobs resume ftjob-1$/);
  assert.equal(of({ status: 'cancelled' })[2], 'Now: it was cancelled.');
  assert.equal(of({ status: 'validating_files' })[2], 'Now: its files wait to be validated.');
});
