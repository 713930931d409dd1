interface ConnectionOptions {
  connectionString: string;
  /** Session settings, in the syntax of `postgres -c`. */
  options: string;
  application_name: string;
  keepAlive: boolean;
  keepAliveInitialDelayMillis: number;
  connectionTimeoutMillis: number;
  query_timeout: number;
}

/** Milliseconds after which Postgres cancels a statement or a wait for a lock. */
const statementMs = 15_000;
const lockMs = 2_000;

/** Milliseconds until Postgres ends an idle transaction, so that a frozen process does not hold its locks for longer. */
const idleTransactionMs = 5_000;

/** Limits of every session. The TCP settings detect a peer that vanished; they do not apply to Unix sockets. */
const sessionSettings = {
  timezone: 'UTC',
  statement_timeout: statementMs,
  lock_timeout: lockMs,
  idle_in_transaction_session_timeout: idleTransactionMs,
  tcp_keepalives_idle: 10,
  tcp_keepalives_interval: 5,
  tcp_keepalives_count: 3,
  tcp_user_timeout: 20_000,
};

/**
 * Returns the options for every connection to Postgres: no wait on it is unbounded, and it cannot block others without bound. Parameters
 * and `options` of the URL are appended and take precedence.
 */
export function connectionOptions(url: string, applicationName: string): ConnectionOptions {
  const plain = new URL(url);
  const given = plain.searchParams.get('options');
  plain.searchParams.delete('options');
  const settings = Object.entries(sessionSettings).map(([name, value]) => `-c ${name}=${value}`);
  return {
    connectionString: plain.href,
    options: [...settings, ...(given ? [given] : [])].join(' '),
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 5_000,
    // Longer than Postgres's own limit, whose error leaves the connection usable: only applies if the server hangs.
    query_timeout: statementMs + 5_000,
  };
}
