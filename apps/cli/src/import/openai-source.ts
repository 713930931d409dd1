import type OpenAI from 'openai';
import { CommandError, UsageError } from '../errors.ts';
import type { OpenAiJob } from './map-job.ts';

/** A file of OpenAI's API: only the fields that are used. */
export interface OpenAiFile {
  id: string;
  filename: string;
  bytes: number;
}

/** Why one file or job cannot be imported; others may still be. `again`: another run may succeed. */
export class NotTaken extends Error {
  override readonly name = 'NotTaken';
  readonly again: boolean;

  constructor(message: string, again: boolean) {
    super(message);
    this.again = again;
  }
}

export interface OpenAiSource {
  /** Files with the purpose fine-tune, newest first. Throws CommandError where there are more than `most`. */
  files(most: number): Promise<OpenAiFile[]>;
  /** Throws NotTaken. */
  file(id: string): Promise<OpenAiFile>;
  /** The newest jobs, at most `most`. */
  jobs(most: number): Promise<OpenAiJob[]>;
  job(id: string): Promise<OpenAiJob>;
  /** Streams the bytes of a file. Throws NotTaken, also during the stream. */
  content(id: string): AsyncGenerator<Uint8Array, void, void>;
}

/** Milliseconds without data after which a download is aborted. */
const idleMs = 60_000;

/**
 * Opens OpenAI, or a server with a compatible API, through its official client, which retries as the server requests. Only reads. The
 * key comes from the environment, where other users of the machine cannot see it, and appears in no message.
 */
export async function openSource(baseUrl: string | undefined): Promise<OpenAiSource> {
  const apiKey = process.env.OPENAI_API_KEY?.trim();
  if (!apiKey) throw new UsageError('Set OPENAI_API_KEY to a key of OpenAI that may read files and jobs.');
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new UsageError('OPENAI_API_KEY contains spaces or other characters that no key has.');
  }
  if (baseUrl !== undefined && !/^https?:$/.test(URL.canParse(baseUrl) ? new URL(baseUrl).protocol : '')) {
    throw new UsageError(`--openai-base-url must be an http or https URL, got ${baseUrl}.`);
  }
  const { default: Client } = await import('openai');
  // The client's log would contain requests, whatever OPENAI_LOG is set to.
  const settings = { apiKey, maxRetries: 5, timeout: 60_000, logLevel: 'off' as const };
  const client = new Client({ ...settings, ...(baseUrl === undefined ? {} : { baseURL: baseUrl }) });

  const messageOf = (error: unknown): string =>
    (error instanceof Error ? error.message : String(error)).replaceAll(apiKey, '…').slice(0, 300);

  /** Converts an error that prevents reading anything at all. */
  const commandError = (error: unknown, what: string): Error => {
    if (error instanceof CommandError) return error;
    const status = (error as { status?: number }).status;
    if (status === 401) return new CommandError(`OpenAI rejected OPENAI_API_KEY: ${messageOf(error)}`);
    if (status === 403) {
      return new CommandError(
        `OPENAI_API_KEY may not read ${what}: ${messageOf(error)} Give it that permission.`,
      );
    }
    return new CommandError(`Cannot read ${what} of ${client.baseURL}: ${messageOf(error)}`);
  };

  /** Converts an error that concerns one file or job. */
  const importFailure = (error: unknown): Error => {
    if (error instanceof NotTaken) return error;
    const status = (error as { status?: number }).status;
    if (status === 404) return new NotTaken('deleted at OpenAI', false);
    if (status === 400 || status === 403)
      return new NotTaken(`OpenAI refused it: ${messageOf(error)}`, false);
    return new NotTaken(messageOf(error), true);
  };

  const rethrown = <T>(answer: Promise<T>, convert: (error: unknown) => Error): Promise<T> =>
    answer.catch((error: unknown) => {
      throw convert(error);
    });

  return {
    files: (most) =>
      rethrown(
        collect(() => client.files.list({ purpose: 'fine-tune', limit: 1000 }), checkedFile, most, true),
        (error) => commandError(error, 'files'),
      ),
    file: async (id) => checkedFile(await rethrown(client.files.retrieve(id).then(), importFailure)),
    jobs: (most) =>
      rethrown(
        collect(() => client.fineTuning.jobs.list({ limit: 100 }), checkedJob, most, false),
        (error) => commandError(error, 'fine-tuning jobs'),
      ),
    job: async (id) =>
      checkedJob(
        await rethrown(client.fineTuning.jobs.retrieve(id).then(), (error) =>
          commandError(error, `the fine-tuning job ${id}`),
        ),
      ),
    async *content(id) {
      try {
        const response = await client.files.content(id);
        if (response.body) yield* piecesOf(response.body as ReadableStream<Uint8Array>);
      } catch (error) {
        throw importFailure(error);
      }
    },
  };
}

/** Reads all pages. Throws CommandError where pages repeat or never end. */
async function collect<Item, Row extends { id: string }>(
  list: () => AsyncIterable<Item>,
  check: (item: Item) => Row,
  most: number,
  all: boolean,
): Promise<Row[]> {
  const rows = new Map<string, Row>();
  for await (const item of list()) {
    const row = check(item);
    if (rows.has(row.id)) throw new CommandError(`OpenAI lists ${row.id} twice: its pages repeat.`);
    if (rows.size >= most) {
      if (all) {
        throw new CommandError(`There are more than ${most} files: choose jobs, and so files, with --job.`);
      }
      break;
    }
    rows.set(row.id, row);
  }
  return [...rows.values()];
}

/** Ids become file names, so nothing else may pass. */
const isId = (id: unknown): id is string => typeof id === 'string' && /^[A-Za-z0-9][\w-]{0,127}$/.test(id);

function checkedFile(file: OpenAI.FileObject): OpenAiFile {
  const { id, filename, bytes } = file;
  if (!isId(id) || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw new CommandError(
      `The server's answer is not a file object of OpenAI: ${JSON.stringify(file)?.slice(0, 200)}`,
    );
  }
  return { id, bytes, filename: typeof filename === 'string' && filename !== '' ? filename : `${id}.jsonl` };
}

function checkedJob(job: OpenAI.FineTuning.FineTuningJob): OpenAiJob {
  const { id, model, status, training_file: training, validation_file: validation } = job;
  const whole = isId(id) && isId(training) && (!validation || isId(validation));
  if (!whole || typeof model !== 'string' || typeof status !== 'string') {
    throw new CommandError(
      `The server's answer is not a job object of OpenAI: ${JSON.stringify(job)?.slice(0, 200)}`,
    );
  }
  return job;
}

async function* piecesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new NotTaken(`no data for ${idleMs / 1000} s`, true)), idleMs);
      });
      const next = await Promise.race([reader.read(), silence]).finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
