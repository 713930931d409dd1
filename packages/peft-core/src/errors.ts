/** Maximum length of an error's message and of each of its details, in characters: they quote what users write, however long that is. */
export const MAX_MESSAGE = 4000;
const MAX_DETAIL = 1000;
/** Maximum number of details, and of characters of all their messages. */
const MAX_DETAILS = 200;
const MAX_DETAIL_TEXT = 20_000;
/** Maximum length of a field's path. */
const MAX_PATH = 500;

/** A text as it may be stored and shown: of at most `most` characters, without those that Postgres does not take. */
export function shortened(text: string, most: number): string {
  const short = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  // Makes a copy: a part of a text keeps the whole in memory.
  return Buffer.from(short.replaceAll('\0', '\uFFFD')).toString();
}

/** The details of an error, shortened; those beyond the limits are left out. */
export function shortenedDetails<T extends { message: string }>(details: readonly T[]): T[] {
  let left = MAX_DETAIL_TEXT;
  return details.slice(0, MAX_DETAILS).flatMap((detail) => {
    const message = shortened(detail.message, MAX_DETAIL);
    left -= message.length;
    return left < 0 ? [] : [{ ...detail, message }];
  });
}

/** The cause of an error; only its name if it quotes a long text. */
function shortenedCause(cause: unknown): unknown {
  return cause instanceof Error && cause.message.length > MAX_MESSAGE ? cause.name : cause;
}

/** One of several faults reported together: a line of a data file (1-based) or a field of a request. */
export interface ErrorDetail {
  /** The first line with this fault. */
  line?: number;
  path?: string;
  message: string;
  /** If several lines have this fault: their number, and the lines as ranges from first to last; if there are very many, not all. */
  count?: number;
  lines?: [first: number, last: number][];
}

export interface GraftErrorOptions {
  /** The request field that caused the error, as in OpenAI's errors: `peft.target_modules`, `training_file`. */
  param?: string | null;
  /**
   * Who can fix it. A `user` fault is never retried, and its message is shown to the team. An `environment` fault is specific to this
   * machine: the same work may succeed elsewhere, or here later.
   */
  fault?: 'user' | 'system' | 'environment';
  cause?: unknown;
  details?: ErrorDetail[];
}

/**
 * The error that all parts of peft-core throw deliberately. `code` is stable and documented; `message` is for people. Texts of any length may
 * be quoted: the error shortens them.
 */
export class GraftError extends Error {
  override readonly name = 'GraftError';
  readonly code: string;
  readonly fault: 'user' | 'system' | 'environment';
  readonly param: string | null;
  readonly details?: ErrorDetail[];

  constructor(code: string, message: string, options: GraftErrorOptions = {}) {
    super(
      shortened(message, MAX_MESSAGE),
      options.cause === undefined ? undefined : { cause: shortenedCause(options.cause) },
    );
    this.code = code;
    this.fault = options.fault ?? 'user';
    this.param = options.param ? shortened(options.param, MAX_PATH) : null;
    if (options.details)
      this.details = shortenedDetails(options.details).map(({ path, ...detail }) =>
        path === undefined ? detail : { ...detail, path: shortened(path, MAX_PATH) },
      );
  }
}
