import { GraftError } from '@graft/peft-core/config';
import type { DatasetSummary } from '@graft/peft-core/examples';
import { createThread } from '@graft/peft-core/threads';
import type { LineAnswer, LineCall } from './line-check-thread.ts';
import { createLineChecker } from './line-checker.ts';

/** Checks the lines of one upload as they arrive. */
export interface UploadCheck {
  /** Accepts the next bytes; resolves when the check can accept more. */
  write(chunk: Uint8Array): Promise<void>;
  /** Throws GraftError `invalid_jsonl` with every bad line, or `empty_file`. */
  end(): Promise<DatasetSummary>;
  /** Forgets an aborted upload. */
  drop(): void;
}

export interface UploadChecks {
  open(): UploadCheck;
  close(): Promise<void>;
}

/** Maximum bytes checked on the event loop, which is faster than a call to the thread. */
const bytesAtOnce = 8 * 1024;
/** Heap of the thread: lines of 4 MiB temporarily become several hundred megabytes of objects. */
const heapMb = 768;

/**
 * Checks lines in a thread, so that no line blocks the event loop. All uploads share the thread, with one chunk at a time each: an upload
 * sends its next chunk when the previous one is checked.
 */
export function createUploadChecks(): UploadChecks {
  const thread = createThread<LineCall, LineAnswer>(
    new URL('./line-check-thread.ts', import.meta.url),
    heapMb,
  );
  let uploads = 0;

  function open(): UploadCheck {
    const upload = ++uploads;
    let early: Uint8Array[] = [];
    let bytes = 0;
    let apart = false;
    let done: Promise<unknown> = Promise.resolve();

    async function send(chunk: Uint8Array): Promise<void> {
      await done;
      // Copied, so that the memory can be transferred: chunks are parts of larger buffers.
      const own = new Uint8Array(chunk);
      done = thread.call({ kind: 'write', upload, chunk: own }, { transfer: [own.buffer] });
      // The next write or end reports the error.
      done.catch(() => {});
    }

    return {
      async write(chunk) {
        bytes += chunk.length;
        if (!apart) {
          early.push(chunk);
          if (bytes <= bytesAtOnce) return;
          apart = true;
          await send(Buffer.concat(early));
          early = [];
        } else await send(chunk);
      },
      async end() {
        if (!apart) {
          const checker = createLineChecker();
          for (const chunk of early) checker.write(chunk);
          return checker.end();
        }
        await done;
        const answer = await thread.call({ kind: 'end', upload });
        if (answer && 'format' in answer) return answer;
        throw new GraftError(answer!.code, answer!.message, { param: 'file', details: answer!.details });
      },
      drop() {
        if (apart) thread.call({ kind: 'drop', upload }).catch(() => {});
      },
    };
  }

  return { open, close: thread.close };
}
