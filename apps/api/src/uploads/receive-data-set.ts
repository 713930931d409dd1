import { GraftError, type OnBadLines } from '@graft/peft-core/config';
import type { ColumnMapping } from '@graft/peft-core/examples';
import { type OpenedHubDataset, openHubDataset, parseHubDataset } from '@graft/peft-core/files';
import { globToRegExp } from '@graft/service/environment';
import type { Services } from '@graft/service/services';
import { type IncomingBytes, QuotaExceeded } from '@graft/service/teams';
import { ApiError } from '../api-error.ts';
import { createFairQueue, QueueFull } from '../threads/fair-queue.ts';
import { cleanName, counted, type ReceivedUpload, storeChecked } from './receive-upload.ts';
import type { UploadChecks } from './upload-checks.ts';

interface DataSetRequest {
  teamId: string;
  /** `hf://datasets/organisation/name?split=train` */
  source: string;
  /** The column that each field is in; null: as recognised. */
  columns: ColumnMapping | null;
  onBadLines: OnBadLines;
  /** Aborts when the client is gone. */
  signal: AbortSignal;
}

interface DataSetReceiver {
  /**
   * Streams a data file of the Hub into the store and checks every line meanwhile. `count` counts its bytes towards the team's quota before
   * they arrive; `keep` writes the row. A failed import leaves nothing behind. Throws ApiError or GraftError, QuotaExceeded among them.
   */
  receive<T>(
    request: DataSetRequest,
    count: (bytes: number) => Promise<IncomingBytes>,
    keep: (received: ReceivedUpload, incoming: IncomingBytes) => Promise<T>,
  ): Promise<T>;
  /** Ends all imports with an error. */
  close(): void;
}

/** Imports of one API process at a time, and those that wait for their turn. */
const running = { perOwner: 2, all: 8 };
const waiting = { perOwner: 8, all: 64 };

export function createDataSetReceiver(
  { env, files }: Pick<Services, 'env' | 'files'>,
  checks: UploadChecks,
  { idleMs, wholeMs }: { idleMs: number; wholeMs: number },
): DataSetReceiver {
  const allowed = env.hubDataSets.map(globToRegExp);
  const queue = createFairQueue({ running, waiting });
  const closing = new AbortController();

  function parse(source: string) {
    if (allowed.length === 0)
      throw notAllowed('This server fetches no data sets of the Hub; its operator can allow some with');
    const dataset = parseHubDataset(source);
    if (allowed.some((pattern) => pattern.test(dataset.name))) return dataset;
    throw notAllowed(
      `This server may not fetch the data set ${dataset.name}; its operator can allow it with`,
    );
  }

  async function inTurn<T>(teamId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await queue.run(teamId, work);
    } catch (error) {
      if (!(error instanceof QueueFull) || error.whose === 'all') throw error;
      throw new ApiError(
        'too_many_requests',
        `Too many data sets are being fetched: ${running.perOwner} of a team at a time, and ${waiting.perOwner} may wait; try again.`,
        { headers: { 'retry-after': '30' } },
      );
    }
  }

  return {
    close: () => closing.abort(restarting()),
    receive: async ({ teamId, source, columns, onBadLines, signal: gone }, count, keep) => {
      const dataset = namingSource(() => parse(source));
      const late = AbortSignal.timeout(wholeMs);
      const signal = AbortSignal.any([gone, closing.signal, late]);
      try {
        return await inTurn(teamId, async () => {
          signal.throwIfAborted();
          const opened = await openHubDataset(dataset, { endpoint: env.hfEndpoint, signal, idleMs });
          checkSize(opened, env.maxUploadBytes);
          const incoming = await count(opened.bytes);
          try {
            const check = checks.open(teamId, { columns, onBadLines });
            const bytes = counted(opened.read(), incoming);
            const stored = await storeChecked(bytes, files, check, env.maxUploadBytes);
            // The client may have hung up during the check.
            if (signal.aborted) {
              await files.remove(stored.path).catch(() => {});
              throw signal.reason;
            }
            return await keep({ ...stored, filename: cleanName(opened.filename), columns }, incoming);
          } finally {
            await incoming.end();
          }
        });
      } catch (error) {
        if (late.aborted && error === late.reason) throw tooSlow(wholeMs);
        if (gone.aborted && error === gone.reason) throw new ApiError('bad_request', 'The client hung up.');
        throw namedSource(error);
      }
    },
  };
}

function checkSize({ filename, bytes, shards }: OpenedHubDataset, limit: number): void {
  if (bytes <= limit) return;
  const which = shards === 1 ? filename : `${filename}, of ${shards} files,`;
  const message = `${which} has ${bytes} bytes; a file has at most ${limit}.`;
  throw new ApiError('file_too_large', message, { param: 'source' });
}

function notAllowed(why: string): ApiError {
  return new ApiError('data_set_not_allowed', `${why} GRAFT_HUB_DATA_SETS.`, { param: 'source' });
}

function restarting(): ApiError {
  return new ApiError('service_unavailable', 'The server is restarting; try again.', {
    headers: { 'retry-after': '5' },
  });
}

function tooSlow(ms: number): ApiError {
  return new ApiError(
    'data_set_unavailable',
    `The data set takes longer to fetch than ${ms / 1000} seconds, the limit.`,
    { param: 'source', headers: { 'retry-after': '60' } },
  );
}

function namingSource<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw namedSource(error);
  }
}

/** An error of a data set or of its content as that of the request's parameter. */
function namedSource(error: unknown): unknown {
  if (!(error instanceof GraftError) || error instanceof QuotaExceeded) return error;
  if (error.param !== 'file' && !error.code.includes('data_set')) return error;
  const { code, message, fault, details } = error;
  return new GraftError(code, message, { param: 'source', fault, cause: error, ...(details && { details }) });
}
