import type { Database } from './database.ts';

/**
 * Runs `work` while holding the advisory lock `name`, so that of all processes on this database one runs it at a
 * time. Answers `{ran: false}` at once when another holds the lock. The lock lives on its own connection: it ends
 * with the process, however that ends.
 */
export async function runExclusive<T>(
  { sql }: Pick<Database, 'sql'>,
  name: string,
  work: () => Promise<T>,
): Promise<{ ran: true; result: T } | { ran: false }> {
  const holder = await sql.connect();
  let fault: Error | undefined;
  try {
    const { rows } = await holder.query<{ locked: boolean }>(
      "SELECT pg_try_advisory_lock(hashtextextended('graft:' || $1, 0)) AS locked",
      [name],
    );
    if (!rows[0]?.locked) return { ran: false };
    try {
      return { ran: true, result: await work() };
    } finally {
      await holder
        .query("SELECT pg_advisory_unlock(hashtextextended('graft:' || $1, 0))", [name])
        .catch((error: Error) => {
          fault = error;
        });
    }
  } finally {
    holder.release(fault);
  }
}
