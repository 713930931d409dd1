import { operations } from '../operation.ts';

/** Options of a route of fine-tuning jobs. */
export const operation = operations('Fine-tuning');

/** Reads the job that the path names. */
export const readingJob = { access: { scope: 'jobs:read', models: 'job' } } as const;
