import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobEstimate } from '@graft/service/jobs';
import { unfitJob } from './unfit-job.ts';

const estimate: JobEstimate = {
  trainableParameters: 1,
  totalParameters: 2,
  peakMemoryBytes: 9.21e9,
  tokens: 3,
  steps: 4,
  seconds: null,
  fits: false,
  machine: { device: 'cpu', precision: 'fp32' },
  memoryBytes: 4.09e9,
  workers: 1,
  changes: [
    { training: { batch_size: 2, gradient_accumulation_steps: 4 }, peakMemoryBytes: 3e9 },
    { training: { gradient_checkpointing: true }, peakMemoryBytes: 3e9 },
    { training: { max_seq_length: 512 }, peakMemoryBytes: 3e9 },
  ],
};

test('what is needed, what is there, and what would help', () => {
  assert.deepEqual(unfitJob(estimate), {
    code: 'insufficient_memory',
    param: 'training.batch_size',
    fault: 'user',
    message:
      'Training needs 9.3 GB of memory, the largest worker has 4.0 GB; it would fit with training.batch_size 2 and gradient_accumulation_steps 4, or gradient_checkpointing true, or max_seq_length 512 (cut longer examples).',
  });
});

test('the option that is named is the first that helps; without any it is the size of batches', () => {
  const quantised = {
    ...estimate,
    changes: [{ training: { base_dtype: 'nf4' as const }, peakMemoryBytes: 1 }],
  };
  assert.equal(unfitJob(quantised)?.param, 'training.base_dtype');
  const hopeless = unfitJob({ ...estimate, changes: [], peakMemoryBytes: 4.1e6, memoryBytes: 4.05e6 });
  assert.equal(hopeless?.param, 'training.batch_size');
  assert.match(
    hopeless?.message ?? '',
    /needs 5 MB of memory, the largest worker has 4 MB; no training option/,
  );
});

test('a job that fits, or may fit, is not refused', () => {
  for (const fits of [true, null]) assert.equal(unfitJob({ ...estimate, fits }), null);
});
