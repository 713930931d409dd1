import { GraftError } from '@graft/peft-core/config';
import type { DatasetSummary } from '@graft/peft-core/examples';
import { createThread } from '@graft/peft-core/threads';
import type { ThreadPlan } from '@graft/service/environment';
import { tryTwice } from '../threads/check-thread.ts';
import { createFairQueue } from '../threads/fair-queue.ts';
import type { LineAnswer, LineCall, RowReading } from './line-check-thread.ts';
import { createLineChecker } from './line-checker.ts';

/** Checks the rows of one upload as they arrive. */
export interface UploadCheck {
  /**
   * Accepts the next bytes; resolves when the check can accept more. Throws GraftError as soon as it is clear that no part of the file
   * can be used.
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Null: the file must be checked by `checkStored`. Throws GraftError `invalid_jsonl` with every bad line, `unknown_file_kind`,
   * `unknown_shape`, or `empty_file`.
   */
  end(): Promise<DatasetSummary | null>;
  /**
   * Checks the stored file, whose local path `locate` returns, when it is the team's turn. Throws as `end` does, GraftError `invalid_jsonl`
   * for a file that needs too much memory, QueueFull if too many wait, and the errors of `tryTwice`.
   */
  checkStored(bytes: number, locate: () => Promise<string>): Promise<DatasetSummary>;
  /** Forgets an aborted upload. */
  drop(): void;
}

export interface UploadChecks {
  open(teamId: string, reading: RowReading): UploadCheck;
  /** Number of threads that have ended while they checked uploads as they arrived. */
  ended(): number;
  close(): Promise<void>;
}

/** Maximum bytes of JSON checked on the event loop, which is faster than a call to the thread. */
const bytesAtOnce = 8 * 1024;
/** Stored files that wait for their check. */
const waiting = { perOwner: 16, all: 256 };
/** Time of a check of a stored file, by its size: ten times what slow files take. */
const checkMs = (bytes: number) => 60_000 + bytes / 1000;
/** Time for which the uploads of a team are checked apart, once a file of it needed too much memory. */
const apartMs = 10 * 60_000;

/**
 * Checks rows in threads, so that none blocks the event loop. All uploads share one thread, in which each team has one chunk at a time. A
 * Parquet file is checked once it is stored, in a separate thread and with teams in turn: its pages may take long or need much memory. So
 * is a file whose check the shared thread lost, since another file ended it; a stored file that ends its own thread is at fault itself.
 */
export function createUploadChecks({
  lines,
  files,
}: Pick<ThreadPlan['threads'], 'lines' | 'files'>): UploadChecks {
  const module = new URL('./line-check-thread.ts', import.meta.url);
  const shared = createThread<LineCall, LineAnswer>(module, lines.heapMb);
  const turns = createFairQueue({
    running: { perOwner: 1, all: Number.POSITIVE_INFINITY },
    // The limits of open uploads apply.
    waiting: { perOwner: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY },
  });
  const free = Array.from({ length: files.count }, () =>
    createThread<LineCall, LineAnswer>(module, files.heapMb),
  );
  const own = [...free];
  const queue = createFairQueue({ running: { perOwner: 1, all: files.count }, waiting });
  /** Teams whose uploads are checked apart, and until when. */
  const apart = new Map<string, number>();
  let uploads = 0;
  let ended = 0;

  async function checkAlone(teamId: string, call: LineCall, bytes: number): Promise<DatasetSummary> {
    const thread = free.pop()!;
    try {
      return summaryIn(await tryTwice(() => thread.call(call, { ms: checkMs(bytes) })))!;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
      apart.set(teamId, Date.now() + apartMs);
      throw tooMuchMemory(files.heapMb);
    } finally {
      free.push(thread);
    }
  }

  function isApart(teamId: string): boolean {
    for (const [team, until] of apart) if (until < Date.now()) apart.delete(team);
    return apart.has(teamId);
  }

  function open(teamId: string, reading: RowReading): UploadCheck {
    const upload = ++uploads;
    let early: Uint8Array[] = [];
    let bytes = 0;
    let isShared = false;
    let isUnchecked = isApart(teamId);
    let done: Promise<LineAnswer> = Promise.resolve(null);

    /** The answer to the last call; a thread that ended, or a file that it cannot check, leaves the upload unchecked. */
    async function answered(): Promise<DatasetSummary | null> {
      try {
        const answer = await done;
        if (!answer || !('unchecked' in answer)) return summaryIn(answer);
      } catch (error) {
        if (error instanceof GraftError) throw error;
        ended++;
      }
      isUnchecked = true;
      return null;
    }

    async function send(chunk: Uint8Array): Promise<void> {
      await answered();
      if (isUnchecked) return;
      // Copied, so that the memory can be transferred: chunks are parts of larger buffers.
      const copy = new Uint8Array(chunk);
      const call: LineCall = { kind: 'write', upload, chunk: copy, isFirst: !isShared, ...reading };
      isShared = true;
      done = turns.run(teamId, async () => await shared.call(call, { transfer: [copy.buffer] }));
      // The next write or end reports the error.
      done.catch(() => {});
    }

    return {
      async write(chunk) {
        bytes += chunk.length;
        if (isUnchecked) return;
        if (isShared) return await send(chunk);
        early.push(chunk);
        if (bytes <= bytesAtOnce && isJson(early[0]!)) return;
        await send(Buffer.concat(early));
        early = [];
      },
      async end() {
        if (isUnchecked) return null;
        if (!isShared) {
          const checker = createLineChecker(reading.columns, reading.onBadLines);
          for (const chunk of early) await checker.write(chunk);
          return await checker.end();
        }
        await answered();
        if (isUnchecked) return null;
        done = turns.run(teamId, async () => await shared.call({ kind: 'end', upload }));
        return await answered();
      },
      async checkStored(size, locate) {
        return await queue.run(teamId, async () => {
          const path = await locate();
          return await checkAlone(teamId, { kind: 'check', path, ...reading }, size);
        });
      },
      drop() {
        if (isShared && !isUnchecked) shared.call({ kind: 'drop', upload }).catch(() => {});
      },
    };
  }

  return {
    open,
    ended: () => ended,
    close: async () => {
      await Promise.all([shared, ...own].map(async (each) => await each.close()));
    },
  };
}

/** Checks whether a file that begins with `chunk` is JSON: a small part of it takes no time. */
const isJson = (chunk: Uint8Array): boolean =>
  chunk.length === 0 || /^\s*[[{]/.test(Buffer.from(chunk).toString('utf8', 0, 64));

function summaryIn(answer: LineAnswer): DatasetSummary | null {
  if (answer && 'fault' in answer) {
    const { code, message, param, details } = answer.fault;
    throw new GraftError(code, message, { param, ...(details.length > 0 && { details }) });
  }
  return answer as DatasetSummary | null;
}

function tooMuchMemory(heapMb: number): GraftError {
  return new GraftError(
    'invalid_jsonl',
    `the file needs more memory to be read than ${heapMb} MiB, the limit; write it with shorter rows, or smaller pages and row groups`,
    { param: 'file' },
  );
}
