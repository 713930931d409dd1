import { GraftError } from '../../../errors.ts';

/** The error of a file that cannot be read. */
export const badParquet = (reason: string): GraftError =>
  new GraftError('invalid_jsonl', `this Parquet file cannot be read: ${reason.slice(0, 300)}`);
