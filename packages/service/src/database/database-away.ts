/**
 * Whether `error` says that Postgres cannot be reached or is shutting down or full, as pg, Node and Prisma
 * (P1001 unreachable, P1017 closed, P2024 and P2037 no connection) put it.
 */
export function isDatabaseAway(error: unknown): boolean {
  for (let cause: unknown = error, i = 0; cause instanceof Error && i < 5; cause = cause.cause, i++) {
    const { code, syscall } = cause as { code?: unknown; syscall?: unknown };
    if (typeof code === 'string' && awayCodes.has(code)) return true;
    // A Postgres on a Unix socket that is gone.
    if (code === 'ENOENT' && syscall === 'connect') return true;
    if (awayMessages.test(cause.message)) return true;
    if (cause instanceof AggregateError && cause.errors.some(isDatabaseAway)) return true;
    const { meta } = cause as { meta?: { driverAdapterError?: unknown } };
    if (meta?.driverAdapterError && isDatabaseAway(meta.driverAdapterError)) return true;
  }
  return false;
}

const awayCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH'],
  ...['57P01', '57P02', '57P03', '08000', '08003', '08006', '08001', '53300'],
  ...['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2037'],
]);

const awayMessages =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Can't reach database server|Cannot use a pool after calling end/;
