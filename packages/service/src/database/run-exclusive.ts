import { setInterval } from 'node:timers';
import { randomText } from '../ids.ts';
import type { Database } from './database.ts';

/** Seconds by Postgres's clock until a turn that its holder does not renew is over. */
const turnSeconds = 3;

/** What the holder of a turn is told. */
export interface Turn {
  /** Seconds since the last turn of this name ended; null for the first ever. */
  idleSeconds: number | null;
}

/**
 * Runs `work` while holding the turn `name`, so that of all processes on this database one runs it at a time. Answers
 * `{ran: false}` at once when it is another's. A turn is a row that expires by Postgres's clock unless it is renewed: a
 * holder that is frozen or gone stops the others for three seconds. One that was frozen goes on with its work when it
 * wakes up, beside its successor: this is for thrift, and what `work` writes is guarded by itself.
 */
export async function runExclusive<T>(
  { sql }: Pick<Database, 'sql'>,
  name: string,
  work: (turn: Turn) => Promise<T>,
): Promise<{ ran: true; result: T } | { ran: false }> {
  const holder = randomText(16);
  const { rows } = await sql.query<Turn>(
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
      // It expires all the same.
      .catch(() => {});
  const renewal = setInterval(() => void holdFor(turnSeconds), (turnSeconds * 1000) / 3);
  try {
    return { ran: true, result: await work(turn) };
  } finally {
    clearInterval(renewal);
    await holdFor(0);
  }
}
