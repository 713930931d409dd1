import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, deleteInBatches } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inSystemTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import { parseSessionToken } from '../secrets/api-key.ts';
import type { SessionLimits } from './create-session.ts';

/** Whose sessions: those of a person and their keys, or those of one key, which cannot manage its owner's. */
export type SessionHolder = { personId: string } | { apiKeyId: string } | { operatorKeyId: string };

export interface SessionRecord {
  id: string;
  method: 'oidc' | 'key';
  /** The key that was exchanged for the session. */
  keyId: string | null;
  userAgent: string | null;
  createdAt: Date;
  /** To the minute. */
  lastUsedAt: Date;
  expiresAt: Date;
}

const whereOf = (holder: SessionHolder) =>
  'personId' in holder
    ? {
        OR: [
          holder,
          { apiKey: { personId: holder.personId } },
          { operatorKey: { personId: holder.personId } },
        ],
      }
    : holder;

/** Lists the valid sessions, newest first. Throws GraftError `invalid_cursor`. */
export async function listSessions(
  { db }: Database,
  holder: SessionHolder,
  { idleSeconds, ...options }: PageOptions & Pick<SessionLimits, 'idleSeconds'>,
): Promise<Page<SessionRecord>> {
  return await withSystemScope(async () => {
    const [clock] = await db.$queryRaw<{ now: Date }[]>`SELECT now()`;
    const now = clock!.now;
    const idleSince = new Date(now.getTime() - idleSeconds * 1000);
    const where = {
      AND: [whereOf(holder), { endedAt: null, expiresAt: { gt: now }, lastUsedAt: { gt: idleSince } }],
    };
    const select = {
      id: true,
      userAgent: true,
      createdAt: true,
      lastUsedAt: true,
      expiresAt: true,
      apiKeyId: true,
      operatorKeyId: true,
      personId: true,
    };
    return await listRows(
      db.session,
      options,
      { where, select },
      ({ apiKeyId, operatorKeyId, personId, ...row }) => ({
        ...row,
        method: personId === null ? ('key' as const) : ('oidc' as const),
        keyId: apiKeyId ?? operatorKeyId,
      }),
    );
  });
}

/** Ends one of the sessions, or with null all of them, at once on every process. Returns the number of ended sessions. */
export async function endSessions(db: Database, holder: SessionHolder, id: string | null): Promise<number> {
  return await inSystemTransaction(db, async (tx) => {
    const [clock] = await tx.$queryRaw<{ now: Date }[]>`SELECT now()`;
    const { count } = await tx.session.updateMany({
      where: { AND: [whereOf(holder), { endedAt: null }, id === null ? {} : { id }] },
      data: { endedAt: clock!.now },
    });
    if (count === 0) return 0;
    const by = 'personId' in holder ? { keyId: null, ...holder } : { keyId: Object.values(holder)[0]! };
    const detail = { sessions: count };
    await insertAudit(tx, null, by, { action: 'session.end', target: id ?? 'all', detail });
    return count;
  });
}

/** Signs out: ends the session of a token that was just verified. */
export async function endSession({ db }: Database, token: string): Promise<void> {
  const id = parseSessionToken(token)?.keyId;
  if (id === undefined) return;
  await withSystemScope(async () => {
    await db.$executeRaw`UPDATE sessions SET ended_at = now() WHERE id = ${id} AND ended_at IS NULL`;
  });
}

/** Sets the team in which a person's session works. */
export async function chooseTeam({ db }: Database, sessionId: string, teamId: string): Promise<void> {
  await withSystemScope(async () => {
    await db.session.updateMany({ where: { id: sessionId }, data: { chosenTeamId: teamId } });
  });
}

/** Deletes records of logout tokens that have expired anyway. */
export async function pruneLogoutTokens(db: Database): Promise<void> {
  await deleteInBatches(db, 'logout_tokens', 'expires_at < now()');
}

/** Deletes sessions a month after their end. */
export async function pruneSessions(db: Database): Promise<void> {
  await deleteInBatches(db, 'sessions', "expires_at < now() - interval '30 days'");
}
