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

/** The error that all parts of peft-core throw deliberately. `code` is stable and documented; `message` is for people. */
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
