const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;
/** If a server requests a longer wait, the client throws the error, with `retryAfter`, instead of waiting. */
const LONGEST_WAIT_ON_REQUEST_MS = 60_000;

/** Returns whether a retry may succeed after this status. 409 is excluded: an identical request conflicts again. */
export function isRetryableStatus(status: number, headers: Headers): boolean {
  if (headers.get('x-should-retry') === 'false') return false;
  return status === 408 || status === 429 || status >= 500;
}

/**
 * Returns the milliseconds to wait before try number `attempt` + 2, or null if waiting is useless. Exponential backoff, randomly reduced by
 * up to a quarter, so that many clients do not retry in step.
 */
export function retryDelay(attempt: number, retryAfterSeconds: number | null): number | null {
  if (retryAfterSeconds !== null) {
    const asked = retryAfterSeconds * 1_000;
    return asked <= LONGEST_WAIT_ON_REQUEST_MS ? asked : null;
  }
  return Math.min(FIRST_DELAY_MS * 2 ** attempt, LONGEST_DELAY_MS) * (1 - Math.random() / 4);
}

/** Parses a Retry-After header, which contains seconds or an HTTP date (RFC 9110, 10.2.3). Returns seconds. */
export function parseRetryAfter(header: string | null, now = Date.now()): number | null {
  if (header === null || header.trim() === '') return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, (date - now) / 1_000);
}

/** Waits; rejects with the signal's reason as soon as it aborts. */
export function pause(milliseconds: number, signal?: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
