import { GraftError } from '../../../errors.ts';

/** What is wrong, of an error of the library; what else it throws for damaged data says nothing to a user. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error && error.constructor === Error ? `: ${error.message}` : '';

/** The error of a file that cannot be read. */
export const badParquet = (reason: string): GraftError =>
  new GraftError('invalid_jsonl', `this Parquet file cannot be read: ${reason.slice(0, 300)}`);
