import { setInterval } from 'node:timers';
import { randomText } from '../ids.ts';
import type { Database } from './database.ts';

/** Seconds by Postgres's clock after which a lease that is not renewed expires. */
const turnSeconds = 3;

/** Information for the holder of the lease. */
export interface ExclusiveLock {
  /** Seconds since the last lease of this name ended; null if there was none. */
  idleSeconds: number | null;
}

/**
 * Runs `work` while holding the lease `name`, so that of all processes on this database only one runs it at a time. Returns `{ran: false}`
 * at once if another process holds it. The lease is a row that expires by Postgres's clock unless it is renewed: a holder that froze or
 * crashed blocks the others for three seconds. A frozen holder that resumes runs concurrently with its successor, so this only saves
 * work: `work` must guard its own writes.
 */
export async function runExclusive<T>(
  { sql }: Pick<Database, 'sql'>,
  name: string,
  work: (turn: ExclusiveLock) => Promise<T>,
): Promise<{ ran: true; result: T } | { ran: false }> {
  const holder = randomText(16);
  const { rows } = await sql.query<ExclusiveLock>(
    `INSERT INTO loop_turns AS turn (name, holder, until)
     SELECT $1, $2, now() + make_interval(secs => $3)
     WHERE NOT EXISTS (SELECT 1 FROM loop_turns WHERE name = $1 AND until > now())
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE turn.until <= now()
     RETURNING (SELECT extract(epoch FROM now() - until)::float8 FROM loop_turns WHERE name = $1) AS "idleSeconds"`,
    [name, holder, turnSeconds],
  );
  const turn = rows[0];
  if (!turn) return { ran: false };
  const holdFor = async (seconds: number) =>
    await sql
      .query(
        `UPDATE loop_turns SET until = now() + make_interval(secs => $3) WHERE name = $1 AND holder = $2`,
        [name, holder, seconds],
      )
      // The lease expires anyway.
      .catch(() => {});
  const renewal = setInterval(() => void holdFor(turnSeconds), (turnSeconds * 1000) / 3);
  try {
    return { ran: true, result: await work(turn) };
  } finally {
    clearInterval(renewal);
    await holdFor(0);
  }
}
