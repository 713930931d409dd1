import { MAX_MESSAGE, shortened, shortenedDetails } from '@graft/peft-core/config';
import { type ErrorCode, errorCodes } from './error-codes.ts';

/** One of several errors: in a field of the request, or in a line of a file (1-based). */
export interface FaultDetail {
  param?: string;
  line?: number;
  message: string;
  /** For an error that several lines share: number of lines, and their ranges. */
  count?: number;
  lines?: [first: number, last: number][];
}

interface ApiErrorOptions {
  param?: string | null;
  /** Overrides the usual status of the code. */
  status?: number;
  headers?: Record<string, string>;
  details?: FaultDetail[];
  cause?: unknown;
}

/** An error as shown to the client. May be thrown anywhere below a route. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly param: string | null;
  readonly headers: Record<string, string>;
  /** All errors; empty if the message already contains everything. */
  readonly details: FaultDetail[];

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(shortened(message, MAX_MESSAGE), { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    this.status = options.status ?? errorCodes[code][0];
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
    this.details = shortenedDetails(options.details ?? []);
  }
}

/** OpenAI's `type`, which separates client errors from server errors. */
function errorType(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string; details?: FaultDetail[] };
}

/** The body of every error response: OpenAI's four keys, plus Graft's `details` if there are any. */
export function errorBody(
  status: number,
  code: string,
  message: string,
  param: string | null,
  details: FaultDetail[] = [],
): ErrorBody {
  return { error: { message, type: errorType(status), param, code, ...(details.length > 0 && { details }) } };
}
