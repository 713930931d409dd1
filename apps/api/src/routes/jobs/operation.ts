import { operations } from '../operation.ts';

export const operation = operations('Fine-tuning');

export const readingJob = { access: { scope: 'jobs:read', models: 'job' } } as const;
