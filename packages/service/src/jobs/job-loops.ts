import type { Services } from '../services.ts';

/** The loops every worker's parent process runs; stub until the next commit. */
export function startJobLoops(_services: Pick<Services, 'sql' | 'queue' | 'log' | 'env'>): { close(): Promise<void> } {
  throw new Error('in progress');
}
