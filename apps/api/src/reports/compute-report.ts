import { GraftError } from '@graft/peft-core/config';
import type { ExampleReport } from '@graft/peft-core/examples';
import { createThread, type Thread, ThreadTimeout } from '@graft/peft-core/threads';
import { baseModelFault, isLastingModelFault } from '@graft/service/base-models';
import type { FileRecord } from '@graft/service/files';
import type { ValidationProgress } from '@graft/service/jobs';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import type { FileReport } from '@graft/service/reports';
import type { Services } from '@graft/service/services';
import type { FileStore } from '@graft/service/storage';
import { openBaseModel } from '../jobs/open-base-model.ts';
import type { ReportAnswer, ReportCall, ReportModel } from './report-thread.ts';

export type ReportThread = Thread<ReportCall, ReportAnswer>;

/** Bytes per message to the thread: few enough that a slow line is noticed in time. */
const chunkBytes = 256 * 1024;

/** `heapMb`: for one line of at most 4 MiB and the tokenizer. Counts are outside the heap, 200 MiB at most. */
export function createReportThread(heapMb: number): ReportThread {
  return createThread<ReportCall, ReportAnswer>(new URL('./report-thread.ts', import.meta.url), heapMb);
}

/**
 * Streams a file through the thread, which computes the report. Throws GraftError for errors in the model or the file, `report_timeout`
 * after `timeoutMs`, another error if the thread crashed, and the signal's reason.
 */
export async function computeReport(
  services: Services,
  thread: ReportThread,
  { model: id, maxSeqLength, columns, job }: Pick<FileReport, 'model' | 'maxSeqLength' | 'columns' | 'job'>,
  file: FileRecord,
  options: { timeoutMs: number; signal: AbortSignal; onProgress(progress: ValidationProgress): void },
): Promise<ExampleReport> {
  const { signal, onProgress } = options;
  const opened = id === null ? null : await openModel(services, id, signal);
  const model: ReportModel | null = opened && {
    tokenizerFiles: opened.tokenizer.json,
    config: opened.config,
    maxSeqLength,
    job,
  };
  const end = performance.now() + options.timeoutMs;
  const ask = async (call: ReportCall, transfer: ArrayBuffer[] = []): Promise<ReportAnswer> => {
    const answer = await asked(thread, call, { ms: Math.max(1, end - performance.now()), transfer }, signal);
    if (!('error' in answer)) return answer;
    const { code, message, param, fault } = answer.error;
    const error = new GraftError(code, message, { param, fault });
    // The operator provides the tokenizer, so its errors are not user errors.
    throw opened && isLastingModelFault(code, param)
      ? baseModelFault(error, opened.id, [opened.path])
      : error;
  };

  await ask({ kind: 'begin', model, columns, bytes: file.bytes });
  let bytes = 0;
  for await (const chunk of inPieces(await openFile(services, services.files, file))) {
    // The chunk has no length once it is transferred.
    bytes += chunk.length;
    const answer = await ask({ kind: 'write', chunk }, [chunk.buffer]);
    if ('examples' in answer) onProgress({ bytes, totalBytes: file.bytes, examples: answer.examples });
  }
  const last = await ask({ kind: 'end' });
  if ('report' in last) return last.report;
  throw new Error('the thread answered something else than a report');
}

async function openModel(services: Services, id: string, signal: AbortSignal) {
  const model = await openBaseModel(services, id, signal);
  signal.throwIfAborted();
  if (model) return model;
  throw new GraftError('model_not_found', `The base model ${id} is gone.`, { param: 'model' });
}

async function openFile(services: Services, files: FileStore, file: FileRecord) {
  return await files.open(file).catch(async (error: unknown) => {
    const { teamId, id } = file;
    if (isDamage(error)) await reportCorruption(services, { kind: 'file', teamId, id }, error);
    throw error;
  });
}

/** The thread's answer, or the signal's reason as soon as the signal fires. */
async function asked(
  thread: ReportThread,
  call: ReportCall,
  options: { ms: number; transfer: ArrayBuffer[] },
  signal: AbortSignal,
): Promise<ReportAnswer> {
  signal.throwIfAborted();
  let stopListening = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    stopListening = () => signal.removeEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([thread.call(call, options), aborted]);
  } catch (error) {
    if (!(error instanceof ThreadTimeout)) throw error;
    // Other work on this machine may be the cause: the report may be requested again.
    const message = 'The report took too long; try again, or split the file.';
    throw new GraftError('report_timeout', message, { param: null, fault: 'system' });
  } finally {
    stopListening();
  }
}

/** Joins the chunks to larger ones, each with its own transferable memory. */
async function* inPieces(source: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    held.push(chunk);
    bytes += chunk.length;
    if (bytes < chunkBytes) continue;
    yield joined(held, bytes);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield joined(held, bytes);
}

function joined(chunks: readonly Buffer[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(new ArrayBuffer(bytes));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
