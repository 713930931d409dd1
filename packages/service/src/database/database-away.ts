/**
 * Whether `error` says that Postgres cannot be reached, is starting, stopping, full or read-only, or gave up on a
 * transaction that may be repeated: nobody's fault, and worth trying again. As pg, Node and Prisma put it, also as a
 * cause or in an aggregate.
 */
export function isDatabaseAway(error: unknown): boolean {
  for (let cause: unknown = error, depth = 0; isObject(cause) && depth < 5; cause = cause.cause, depth++) {
    const { code, syscall, message, errors, meta } = cause;
    // What Prisma's adapter for pg caught: its own kind, and the code of pg, SQLSTATE or Node's.
    const { kind, originalCode } = cause;
    if (isAwayCode(code) || isAwayCode(originalCode) || awayKinds.has(String(kind))) return true;
    // A Postgres on a Unix socket that is gone.
    if (code === 'ENOENT' && syscall === 'connect') return true;
    if (typeof message === 'string' && awayMessages.test(message)) return true;
    if (Array.isArray(errors) && errors.some(isDatabaseAway)) return true;
    if (isObject(meta) && isDatabaseAway(meta.driverAdapterError)) return true;
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

/** SQLSTATE classes 08 connection, 40 rollback, 53 resources, 57P operator, and 25006, read-only. */
const awayStates = /^(?:08|40|53)[0-9A-Z]{3}$|^57P[0-9A-Z]{2}$|^25006$/;

const awayKinds = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
  'TransactionWriteConflict',
]);

const awayMessages =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|Can't reach database server|Cannot use a pool after calling end/;
