import { type Egress, EgressError, requestPinned } from '../../egress/post-pinned.ts';
import { TrackerError } from './tracker.ts';

/** Maximum bytes of an answer that are read; useful answers have some kilobytes. */
const maxBytes = 256 * 1024;
const bodyMs = 10_000;

export interface Ask {
  method: 'GET' | 'POST';
  /** Appended to the integration's URL. */
  path: string;
  body?: unknown;
}

export interface Answered {
  status: number;
  /** Parsed JSON; null if the body is no JSON. */
  body: unknown;
}

export type AskService = (ask: Ask) => Promise<Answered>;

/** Returns the function by which a tracker sends requests to its server, with the secret. It throws TrackerError `away`. */
export function createAsk(
  { url, headers }: { url: string; headers: Record<string, string> },
  egress: Egress,
  signal: AbortSignal,
): AskService {
  return async ({ method, path, body }) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const sent = { ...headers, accept: 'application/json', 'user-agent': 'Graft/1' };
    const typed = { ...sent, 'content-type': 'application/json' };
    const message = { method, headers: method === 'POST' ? typed : sent, body: text };
    const limits = { maxBytes, bodyMs, signal };
    try {
      const answer = await requestPinned(new URL(url + path), message, egress, limits);
      if (isPassing(answer.status)) {
        const seconds = /^\d{1,5}$/.test(answer.retryAfter ?? '') ? Number(answer.retryAfter) : null;
        throw new TrackerError('away', `It answered ${answer.status}.`, seconds);
      }
      if (!answer.isWhole) throw new TrackerError('away', 'Its answer broke off, or was too long.');
      return { status: answer.status, body: parse(answer.body) };
    } catch (error) {
      if (error instanceof TrackerError) throw error;
      const message = error instanceof EgressError ? error.message : 'Sending failed.';
      throw new TrackerError('away', message, null, { cause: error });
    }
  };
}

/** Throws TrackerError `refused` unless the answer is a success. `code`: an error code from the answer. */
export function checkSuccess(what: string, { status }: Answered, code?: unknown): void {
  if (status < 200 || status >= 300) throw refusedBy(what, status, code);
}

/** Like `checkSuccess`; also requires a body and returns it. */
export function bodyOf<T>(what: string, answer: Answered, code?: unknown): T {
  checkSuccess(what, answer, code);
  if (answer.body !== null) return answer.body as T;
  throw new TrackerError(
    'refused',
    `It did not answer ${what} with JSON: this is the URL of another server.`,
  );
}

function refusedBy(what: string, status: number, code?: unknown): TrackerError {
  if (status === 401 || status === 403)
    return new TrackerError(
      'refused',
      `It answered ${status} to ${what}: the secret is not, or no longer, one that may do that.`,
    );
  if (status >= 300 && status < 400)
    return new TrackerError('refused', `It answered ${status} to ${what}: redirects are not followed.`);
  // Other text of the answer is not quoted: it may contain anything.
  const word = typeof code === 'string' && /^[A-Z_]{1,64}$/.test(code) ? ` ${code}` : '';
  return new TrackerError('refused', `It answered ${status}${word} to ${what}.`);
}

const isPassing = (status: number) => status >= 500 || [408, 425, 429].includes(status);

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) ?? null;
  } catch {
    return null;
  }
}
