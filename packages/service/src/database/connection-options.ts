interface ConnectionOptions {
  connectionString: string;
  /** Settings of the session, as `postgres -c` takes them. */
  options: string;
  application_name: string;
  keepAlive: boolean;
  keepAliveInitialDelayMillis: number;
  connectionTimeoutMillis: number;
  query_timeout: number;
}

/** Milliseconds that Postgres lets one statement run, and wait for one lock. */
const statementMs = 15_000;
const lockMs = 2_000;

/** Milliseconds until Postgres ends a transaction whose client says nothing: a frozen process holds no lock for longer. */
const idleTransactionMs = 5_000;

/** What Postgres holds every session to. The last four find a peer that is gone without a word; they need TCP. */
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
 * How every connection to Postgres is opened: nothing on it waits for ever, and it holds nobody up for ever. Parameters
 * and `options` of the URL come on top, and win.
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
    // After Postgres's own limit, whose error leaves the connection usable: only for a server that hangs.
    query_timeout: statementMs + 5_000,
  };
}
