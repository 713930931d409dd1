/** Thread that checks the lines of several uploads, a chunk at a time. */
import { parentPort } from 'node:worker_threads';
import { type ErrorDetail, GraftError } from '@graft/peft-core/config';
import type { DatasetSummary, JsonlChecker } from '@graft/peft-core/examples';
import { answerCalls } from '@graft/peft-core/threads';
import { createLineChecker } from './line-checker.ts';

export type LineCall =
  | { kind: 'write'; upload: number; chunk: Uint8Array }
  | { kind: 'end'; upload: number }
  /** The upload was aborted. */
  | { kind: 'drop'; upload: number };

export type LineAnswer = DatasetSummary | { code: string; message: string; details: ErrorDetail[] } | null;

// A bad line costs a JSON.parse error, whose stack would take most of the time.
Error.stackTraceLimit = 0;
const checkers = new Map<number, JsonlChecker>();

answerCalls<LineCall, LineAnswer>(parentPort!, (call) => {
  const checker = checkers.get(call.upload) ?? createLineChecker();
  if (call.kind === 'write') {
    checkers.set(call.upload, checker);
    checker.write(call.chunk);
    return null;
  }
  checkers.delete(call.upload);
  if (call.kind === 'drop') return null;
  try {
    return checker.end();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    return { code: error.code, message: error.message, details: error.details ?? [] };
  }
});
