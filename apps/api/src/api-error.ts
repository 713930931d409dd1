import { type ErrorCode, errorCodes } from './error-codes.ts';

/** One of several faults: a field of the request, or a line of a file (1-based). */
export interface FaultDetail {
  param?: string;
  line?: number;
  message: string;
  /** Where several lines have it: how many, and which, as ranges. */
  count?: number;
  lines?: [first: number, last: number][];
}

interface ApiErrorOptions {
  param?: string | null;
  /** Given when it is not the code's usual status. */
  status?: number;
  headers?: Record<string, string>;
  details?: FaultDetail[];
  cause?: unknown;
}

/** An error as the client sees it. Thrown anywhere below a route. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly param: string | null;
  readonly headers: Record<string, string>;
  /** Every fault by itself; empty where the message says all. */
  readonly details: FaultDetail[];

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    this.status = options.status ?? errorCodes[code][0];
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
    this.details = options.details ?? [];
  }
}

/** OpenAI's `type`, which tells the client's faults from the server's. */
function errorType(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string; details?: FaultDetail[] };
}

/** The body of every error answer: OpenAI's four keys, always, and Graft's `details` where there are any. */
export function errorBody(
  status: number,
  code: string,
  message: string,
  param: string | null,
  details: FaultDetail[] = [],
): ErrorBody {
  return { error: { message, type: errorType(status), param, code, ...(details.length > 0 && { details }) } };
}
