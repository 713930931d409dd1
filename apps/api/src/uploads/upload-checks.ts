import { GraftError } from '@graft/peft-core/config';
import type { DatasetSummary } from '@graft/peft-core/examples';
import { createThread } from '@graft/peft-core/threads';
import type { LineAnswer, LineCall } from './line-check-thread.ts';
import { createLineChecker } from './line-checker.ts';

/** Checks the lines of one upload as they come. */
export interface UploadCheck {
  /** Takes the next bytes; resolves when the check has room for more. */
  write(chunk: Uint8Array): Promise<void>;
  /** Throws GraftError `invalid_jsonl` with every bad line, or `empty_file`. */
  end(): Promise<DatasetSummary>;
  /** Forgets an upload that broke off. */
  drop(): void;
}

export interface UploadChecks {
  open(): UploadCheck;
  close(): Promise<void>;
}

/** Bytes that the event loop checks itself, since that takes less than asking a thread. */
const bytesAtOnce = 8 * 1024;
/** Of the thread: lines of 4 MiB become objects of some hundred megabytes for a moment. */
const heapMb = 768;

/**
 * Checks lines in a thread, so that no line holds up the event loop. All uploads share it, a chunk of each at a time: the
 * next one of an upload is sent when the one before is done.
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
      // A copy of its own, which can be handed over: chunks are cut from larger buffers.
      const own = new Uint8Array(chunk);
      done = thread.call({ kind: 'write', upload, chunk: own }, { transfer: [own.buffer] });
      // Whoever writes next, or ends, is told.
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
