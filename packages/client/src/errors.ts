/** One of several faults of a request. */
export interface ErrorDetail {
  /** The field at fault. */
  param?: string;
  /** The line of the file, from 1; of several with this fault the first. */
  line?: number;
  message: string;
  /** Where several lines have it: how many, and which, as ranges from first to last. */
  count?: number;
  lines?: [first: number, last: number][];
}

/** What the API answered instead of a success: the `error` object of the OpenAI wire format, typed. */
export class GraftApiError extends Error {
  override readonly name = 'GraftApiError';
  /** HTTP status; 200 when the error arrived inside a stream that had already begun. */
  readonly status: number;
  /** Stable, machine-readable reason, such as `model_not_found`. */
  readonly code: string | null;
  /** Class of the error, such as `invalid_request_error`. */
  readonly type: string | null;
  /** The request field at fault. */
  readonly param: string | null;
  /** Quote it to the operator: it finds the request in the server's log. */
  readonly requestId: string | null;
  /** Seconds the server asked to wait before another try. */
  readonly retryAfter: number | null;
  /** Whether the same request may succeed later; the client has tried again already. */
  readonly retryable: boolean;
  /** Each fault by itself, where the API tells several: of fields of the request by `param`, of a file by `line`. */
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

  /** Reads an error body; anything that is not the wire format (a proxy's HTML page) becomes a plain status line. */
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

/** No answer arrived: nobody listens there, the connection broke, or nothing moved for the whole timeout. */
export class GraftConnectionError extends Error {
  override readonly name = 'GraftConnectionError';
  readonly timedOut: boolean;

  constructor(message: string, options: { cause?: unknown; timedOut?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.timedOut = options.timedOut ?? false;
  }
}

/** Downloaded bytes are not the bytes that the server vouched for. */
export class GraftDigestError extends Error {
  override readonly name = 'GraftDigestError';
}

/** Whether the same request may succeed when it is sent again. */
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
