import type { JobEstimate } from '@graft/client';

const fitting: JobEstimate = {
  object: 'fine_tuning.estimate',
  trainable_parameters: 2_442_240,
  total_parameters: 134_515_008,
  peak_memory_bytes: 2_000_000_000,
  tokens: 54_720,
  steps: 90,
  seconds: 754.2,
  fits: true,
  changes: [],
  workers: 2,
  memory_bytes: 4_000_000_000,
  device: 'cpu',
  precision: 'fp32',
};
/** Estimate of a job that needs more memory than any worker has. */
export const estimate: JobEstimate = {
  ...fitting,
  fits: false,
  seconds: null,
  peak_memory_bytes: 9_300_000_000,
  changes: [
    { training: { batch_size: 2, gradient_accumulation_steps: 4 }, peak_memory_bytes: 3_100_000_000 },
    { training: { gradient_checkpointing: true }, peak_memory_bytes: 2_800_000_000 },
  ],
};

/** The job fits with a batch size of one. */
export const estimateOf = (body: string): JobEstimate =>
  body.includes('"batch_size":1') ? fitting : estimate;
