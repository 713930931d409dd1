import { GraftError } from '@graft/peft-core/config';

/**
 * Whether `error` says that Postgres cannot be reached, is starting, stopping, full or read-only, took too long, or gave
 * up on a transaction that may be repeated: nobody's fault, and worth trying again. As pg, Node and Prisma put it, also
 * as a cause or in an aggregate. A GraftError is never one: what it has as its cause is a fault of a store or of the Hub.
 */
export function isDatabaseAway(error: unknown): boolean {
  return says(error, ({ code, originalCode, kind, syscall, message }) => {
    if (isAwayCode(code) || isAwayCode(originalCode) || awayKinds.has(String(kind))) return true;
    // A Postgres on a Unix socket that is gone.
    if (code === 'ENOENT' && syscall === 'connect') return true;
    return typeof message === 'string' && awayMessages.test(message);
  });
}

/** Whether `error`, an away one, says that another transaction holds the lock of a row for too long. */
export function isRowLocked(error: unknown): boolean {
  return says(
    error,
    ({ code, originalCode }) => code === lockNotAvailable || originalCode === lockNotAvailable,
  );
}

const lockNotAvailable = '55P03';

/** Whether the error, one of its causes or one of an aggregate says so. */
function says(error: unknown, so: (fault: Record<string, unknown>) => boolean): boolean {
  for (let cause: unknown = error, depth = 0; isObject(cause) && depth < 5; cause = cause.cause, depth++) {
    if (cause instanceof GraftError) return false;
    if (so(cause)) return true;
    const { errors, meta } = cause;
    if (Array.isArray(errors) && errors.some((one) => says(one, so))) return true;
    // What Prisma's adapter for pg caught: its own kind, and the code of pg, SQLSTATE or Node's.
    if (isObject(meta) && says(meta.driverAdapterError, so)) return true;
  }
  return false;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isAwayCode(code: unknown): boolean {
  return typeof code === 'string' && (awayCodes.has(code) || awayStates.test(code));
}

/** Node's, and Prisma's: unreachable, timed out, closed, no connection, write conflict, transaction over its time. */
const awayCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH', 'EAI_AGAIN'],
  ...['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2034', 'P2037'],
]);

/**
 * SQLSTATE classes 08 connection, 40 rollback, 53 resources, 57 operator; 25006 read-only, 25P03 and 25P04 a
 * transaction idle or open for too long, 55P03 a lock waited for too long.
 */
const awayStates = /^(?:08|40|53|57)[0-9A-Z]{3}$|^25006$|^25P0[34]$|^55P03$/;

const awayKinds = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
  'TransactionWriteConflict',
]);

const awayMessages =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|Can't reach database server|Cannot use a pool after calling end/;
