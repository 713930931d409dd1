/** One of several faults in a request. */
export interface ErrorDetail {
  /** The faulty field. */
  param?: string;
  /** The line of the file, from 1; if several lines have this fault, the first. */
  line?: number;
  message: string;
  /** If several lines have the fault: their number, and the lines as ranges from first to last. */
  count?: number;
  lines?: [first: number, last: number][];
}

/** An error response of the API: the `error` object of the OpenAI wire format, typed. */
export class GraftApiError extends Error {
  override readonly name = 'GraftApiError';
  /** HTTP status; 200 if the error arrived within a stream that had already started. */
  readonly status: number;
  /** Stable, machine-readable reason, such as `model_not_found`. */
  readonly code: string | null;
  /** Class of the error, such as `invalid_request_error`. */
  readonly type: string | null;
  /** The faulty request field. */
  readonly param: string | null;
  /** Quote it to the operator, who finds the request by it in the server's log. */
  readonly requestId: string | null;
  /** Seconds to wait before a retry, as requested by the server. */
  readonly retryAfter: number | null;
  /** True where the same request may succeed later; the client has already retried. */
  readonly retryable: boolean;
  /** The individual faults, if the API reports several: of request fields by `param`, of a file by `line`. */
  readonly details: readonly ErrorDetail[];

  constructor(fields: {
    status: number;
    message: string;
    code?: string | null;
    type?: string | null;
    param?: string | null;
    requestId?: string | null;
    retryAfter?: number | null;
    retryable?: boolean;
    details?: readonly ErrorDetail[];
  }) {
    super(fields.message);
    this.status = fields.status;
    this.code = fields.code ?? null;
    this.type = fields.type ?? null;
    this.param = fields.param ?? null;
    this.requestId = fields.requestId ?? null;
    this.retryAfter = fields.retryAfter ?? null;
    this.retryable = fields.retryable ?? false;
    this.details = fields.details ?? [];
  }

  /** Parses an error body; anything that is not the wire format (such as a proxy's HTML page) becomes a plain status line. */
  static fromBody(
    body: string,
    answer: { status: number; requestId: string | null; retryAfter?: number | null; retryable?: boolean },
  ): GraftApiError {
    const error = parseErrorObject(body);
    return new GraftApiError({
      ...answer,
      message: textOf(error?.message) ?? `The server answered with status ${answer.status}.`,
      code: textOf(error?.code),
      type: textOf(error?.type),
      param: textOf(error?.param),
      details: detailsOf(error?.details),
    });
  }
}

/** No response was received: connection refused, connection lost, or no data for the whole timeout. */
export class GraftConnectionError extends Error {
  override readonly name = 'GraftConnectionError';
  readonly timedOut: boolean;

  constructor(message: string, options: { cause?: unknown; timedOut?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.timedOut = options.timedOut ?? false;
  }
}

/** The digest of the downloaded bytes differs from the one that the server announced. */
export class GraftDigestError extends Error {
  override readonly name = 'GraftDigestError';
}

/** Returns whether the same request may succeed when it is sent again. */
export const isTransient = (error: unknown): boolean =>
  error instanceof GraftConnectionError || (error instanceof GraftApiError && error.retryable);

function parseErrorObject(body: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null || !('error' in parsed)) return null;
    return typeof parsed.error === 'object' ? (parsed.error as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

function detailsOf(value: unknown): ErrorDetail[] {
  if (!Array.isArray(value)) return [];
  return value.filter((each) => typeof each?.message === 'string') as ErrorDetail[];
}
