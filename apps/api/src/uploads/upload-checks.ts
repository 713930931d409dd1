import { GraftError } from '@graft/peft-core/config';
import type { DatasetSummary } from '@graft/peft-core/examples';
import { createThread, ThreadTimeout } from '@graft/peft-core/threads';
import { ApiError } from '../api-error.ts';
import { createFairQueue, QueueFull } from '../threads/fair-queue.ts';
import type { LineAnswer, LineCall, RowReading } from './line-check-thread.ts';
import { createLineChecker } from './line-checker.ts';

/** Checks the rows of one upload as they arrive. */
export interface UploadCheck {
  /**
   * Accepts the next bytes; resolves when the check can accept more. Throws GraftError as soon as it is clear that no part of the file
   * can be used.
   */
  write(chunk: Uint8Array): Promise<void>;
  /** Throws GraftError `invalid_jsonl` with every bad line, `unknown_file_kind`, `unknown_shape`, or `empty_file`. */
  end(): Promise<DatasetSummary>;
  /** Forgets an aborted upload. */
  drop(): void;
}

export interface UploadChecks {
  open(teamId: string, reading: RowReading): UploadCheck;
  close(): Promise<void>;
}

/** Maximum bytes of JSON checked on the event loop, which is faster than a call to the thread. */
const bytesAtOnce = 8 * 1024;
/** Heap of a thread: lines of 4 MiB temporarily become several hundred megabytes of objects. */
const heapMb = 768;
/** Complete files that are checked at a time, of different teams; and how long each may take, by its size. */
const running = { perOwner: 1, all: 2 };
const waiting = { perOwner: 16, all: 256 };
const checkMs = (bytes: number) => 60_000 + bytes / 1000;

/**
 * Checks rows in a thread, so that none blocks the event loop. All uploads share the thread, with one chunk at a time each: an upload
 * sends its next chunk when the previous one is checked. A Parquet file is checked in a separate thread once it is complete, teams in
 * turn: its pages may take long or need much memory.
 */
export function createUploadChecks(): UploadChecks {
  const module = new URL('./line-check-thread.ts', import.meta.url);
  const thread = createThread<LineCall, LineAnswer>(module, heapMb);
  const free = Array.from({ length: running.all }, () => createThread<LineCall, LineAnswer>(module, heapMb));
  const whole = [...free];
  const queue = createFairQueue({ running, waiting });
  let uploads = 0;

  async function checkWhole(teamId: string, path: string, reading: RowReading, bytes: number) {
    try {
      return await queue.run(teamId, async () => {
        const own = free.pop()!;
        try {
          return await own.call({ kind: 'check', path, ...reading }, { ms: checkMs(bytes) });
        } finally {
          free.push(own);
        }
      });
    } catch (error) {
      if (error instanceof QueueFull)
        throw new ApiError('too_many_requests', 'Too many files are being checked; try again.', {
          headers: { 'retry-after': '5' },
        });
      if (
        error instanceof ThreadTimeout ||
        (error as { code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY'
      ) {
        const reason = error instanceof ThreadTimeout ? 'time' : 'memory';
        throw new GraftError(
          'invalid_jsonl',
          `the file needs too much ${reason} to be read; write it with smaller pages and row groups, or as JSON lines`,
          { param: 'file' },
        );
      }
      throw error;
    }
  }

  function open(teamId: string, reading: RowReading): UploadCheck {
    const upload = ++uploads;
    let early: Uint8Array[] = [];
    let bytes = 0;
    let apart = false;
    let done: Promise<LineAnswer> = Promise.resolve(null);

    async function send(chunk: Uint8Array): Promise<void> {
      summaryIn(await done);
      // Copied, so that the memory can be transferred: chunks are parts of larger buffers.
      const own = new Uint8Array(chunk);
      done = thread.call({ kind: 'write', upload, chunk: own, ...reading }, { transfer: [own.buffer] });
      // The next write or end reports the error.
      done.catch(() => {});
    }

    return {
      async write(chunk) {
        bytes += chunk.length;
        if (apart) return await send(chunk);
        early.push(chunk);
        if (bytes <= bytesAtOnce && isJson(early[0]!)) return;
        apart = true;
        await send(Buffer.concat(early));
        early = [];
      },
      async end() {
        if (!apart) {
          const checker = createLineChecker(reading.columns, reading.onBadLines);
          for (const chunk of early) await checker.write(chunk);
          return await checker.end();
        }
        summaryIn(await done);
        const answer = await thread.call({ kind: 'end', upload });
        if (!answer || !('spooled' in answer)) return summaryIn(answer)!;
        try {
          return summaryIn(await checkWhole(teamId, answer.spooled, reading, bytes))!;
        } finally {
          thread.call({ kind: 'drop', upload }).catch(() => {});
        }
      },
      drop() {
        if (apart) thread.call({ kind: 'drop', upload }).catch(() => {});
      },
    };
  }

  return {
    open,
    close: async () => {
      await Promise.all([thread, ...whole].map(async (each) => await each.close()));
    },
  };
}

/** Whether a file that begins with `chunk` is JSON, of which a little takes no time. */
const isJson = (chunk: Uint8Array): boolean =>
  chunk.length === 0 || /^\s*[[{]/.test(Buffer.from(chunk).toString('utf8', 0, 64));

/** Throws the fault in an answer as GraftError. */
function summaryIn(answer: LineAnswer): DatasetSummary | null {
  if (answer && 'fault' in answer) {
    const { code, message, param, details } = answer.fault;
    throw new GraftError(code, message, { param, ...(details.length > 0 && { details }) });
  }
  return answer as DatasetSummary | null;
}
