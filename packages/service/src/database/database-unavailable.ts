import { GraftError } from '@graft/peft-core/config';

/**
 * Returns whether `error` means that Postgres is unreachable, starting, stopping, full or read-only, timed out, or aborted a transaction
 * that can be retried: no caller is at fault, and a retry may succeed. Recognises the errors of pg, Node and Prisma, also as a cause or in
 * an aggregate. A GraftError never counts: its cause is a fault of a store or of the Hub.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  return someCause(error, ({ code, originalCode, kind, syscall, message }) => {
    if (isUnavailableCode(code) || isUnavailableCode(originalCode) || unavailableKinds.has(String(kind)))
      return true;
    // A Postgres behind a Unix socket that no longer exists.
    if (code === 'ENOENT' && syscall === 'connect') return true;
    return typeof message === 'string' && unavailableMessages.test(message);
  });
}

/** Returns whether `error`, for which `isDatabaseUnavailable` holds, means that another transaction locks a row for too long. */
export function isRowLocked(error: unknown): boolean {
  return someCause(
    error,
    ({ code, originalCode }) => code === lockNotAvailable || originalCode === lockNotAvailable,
  );
}

/** Returns whether `error`, for which `isDatabaseUnavailable` holds, means that a statement was cancelled because it took too long. */
export function isStatementTooSlow(error: unknown): boolean {
  return someCause(
    error,
    ({ code, originalCode, kind, message }) =>
      code === queryCanceled ||
      originalCode === queryCanceled ||
      kind === 'SocketTimeout' ||
      (typeof message === 'string' && message.includes('Query read timeout')),
  );
}

const lockNotAvailable = '55P03';
const queryCanceled = '57014';

/** Returns whether `matches` holds for the error, one of its causes or a member of an aggregate. */
function someCause(error: unknown, matches: (fault: Record<string, unknown>) => boolean): boolean {
  for (let cause: unknown = error, depth = 0; isObject(cause) && depth < 5; cause = cause.cause, depth++) {
    if (cause instanceof GraftError) return false;
    if (matches(cause)) return true;
    const { errors, meta } = cause;
    if (Array.isArray(errors) && errors.some((one) => someCause(one, matches))) return true;
    // The error that Prisma's adapter for pg caught: it has a `kind` and the code of pg (SQLSTATE) or Node.
    if (isObject(meta) && someCause(meta.driverAdapterError, matches)) return true;
  }
  return false;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isUnavailableCode(code: unknown): boolean {
  return typeof code === 'string' && (unavailableCodes.has(code) || unavailableStates.test(code));
}

/** Codes of Node and Prisma: unreachable, timed out, closed, no connection, write conflict, transaction over its time limit. */
const unavailableCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH', 'EAI_AGAIN'],
  ...['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2034', 'P2037'],
]);

/**
 * SQLSTATE classes 08 connection, 40 rollback, 53 resources and 57 operator; 25006 read-only; 25P03 and 25P04 transaction idle or open
 * for too long; 55P03 lock not available.
 */
const unavailableStates = /^(?:08|40|53|57)[0-9A-Z]{3}$|^25006$|^25P0[34]$|^55P03$/;

const unavailableKinds = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
  'TransactionWriteConflict',
]);

const unavailableMessages =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|Can't reach database server|Cannot use a pool after calling end/;
