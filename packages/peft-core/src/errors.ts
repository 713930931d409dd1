/** One of several faults reported together: a line of a data file (1-based) or a field of a request. */
export interface ErrorDetail {
  /** The first line with this fault. */
  line?: number;
  path?: string;
  message: string;
  /** Where several lines have this fault: how many, and which, as ranges from first to last; of very many the later ones are left out. */
  count?: number;
  lines?: [first: number, last: number][];
}

export interface GraftErrorOptions {
  /** The request field at fault, as in OpenAI's errors: `peft.target_modules`, `training_file`. */
  param?: string | null;
  /**
   * Who can mend it. A user fault is never retried and its message is shown to the team. One of the environment is this
   * machine's: the same work may succeed elsewhere, or here later.
   */
  fault?: 'user' | 'system' | 'environment';
  cause?: unknown;
  details?: ErrorDetail[];
}

/** The error every part of peft-core throws on purpose. `code` is stable and documented; `message` is for people. */
export class GraftError extends Error {
  override readonly name = 'GraftError';
  readonly code: string;
  readonly fault: 'user' | 'system' | 'environment';
  readonly param: string | null;
  readonly details?: ErrorDetail[];

  constructor(code: string, message: string, options: GraftErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fault = options.fault ?? 'user';
    this.param = options.param ?? null;
    if (options.details) this.details = options.details;
  }
}
