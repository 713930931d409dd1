/** Thread that checks the rows of several uploads, a chunk at a time; another one checks a stored file, such as a Parquet file. */
import { parentPort } from 'node:worker_threads';
import { type ErrorDetail, GraftError, type OnBadLines } from '@graft/peft-core/config';
import {
  type ColumnMapping,
  checkDataFile,
  type DataFileChecker,
  type DatasetSummary,
} from '@graft/peft-core/examples';
import { answerCalls } from '@graft/peft-core/threads';
import { createLineChecker, fileError } from './line-checker.ts';

export interface RowReading {
  /** The column that each field is in; null: as recognised. */
  columns: ColumnMapping | null;
  /** Rule for a file with bad lines: fail, or accept it if it has others. */
  onBadLines: OnBadLines;
}

export type LineCall =
  /** `isFirst`: of the chunks of this upload. */
  | ({ kind: 'write'; upload: number; chunk: Uint8Array; isFirst: boolean } & RowReading)
  | { kind: 'end'; upload: number }
  /** The upload was aborted, or will be checked once it is stored. */
  | { kind: 'drop'; upload: number }
  | ({ kind: 'check'; path: string } & RowReading);

export interface LineFault {
  code: string;
  message: string;
  param: string | null;
  details: ErrorDetail[];
}

/**
 * `unchecked`: the file is to be checked once it is stored, since it is of a kind of which parts are read, or this thread does not have what
 * an earlier one read of it.
 */
export type LineAnswer = DatasetSummary | { fault: LineFault } | { unchecked: true } | null;

// A bad line costs a JSON.parse error, whose stack would take most of the time.
Error.stackTraceLimit = 0;
const checkers = new Map<number, DataFileChecker>();

answerCalls<LineCall, LineAnswer>(parentPort!, async (call) => {
  try {
    return await answer(call);
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    if (call.kind !== 'check') drop(call.upload);
    const { code, message, param, details = [] } = fileError(error);
    return { fault: { code, message, param, details } };
  }
});

async function answer(call: LineCall): Promise<LineAnswer> {
  if (call.kind === 'check') return sent(await checkDataFile(call.path, {}, call.columns, call.onBadLines));
  if (call.kind === 'write') {
    if (call.isFirst) checkers.set(call.upload, createLineChecker(call.columns, call.onBadLines));
    const checker = checkers.get(call.upload);
    if (!checker) return { unchecked: true };
    await checker.write(call.chunk);
    return checker.spools() ? unchecked(call.upload) : null;
  }
  if (call.kind === 'drop') return drop(call.upload);
  const checker = checkers.get(call.upload);
  if (!checker || (await checker.finish())) return unchecked(call.upload);
  checkers.delete(call.upload);
  return sent(await checker.end());
}

/** Errors do not survive a transfer between threads, and nobody reads those of skipped rows: reports have them. */
const sent = (summary: DatasetSummary): DatasetSummary => ({ ...summary, skipped: null });

function unchecked(upload: number): LineAnswer {
  drop(upload);
  return { unchecked: true };
}

function drop(upload: number): null {
  checkers.get(upload)?.close();
  checkers.delete(upload);
  return null;
}
