import { GraftError } from '@graft/peft-core/config';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, databaseTime, type Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { asSystem } from '../database/on-behalf-of.ts';
import { type KeyLapse, keyLapsed, verifyKey } from '../keys/verify-api-key.ts';
import { generateApiKey, storeSecret, wholeKey } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';

/** How long sessions live, in seconds. */
export interface SessionLimits extends KeyLapse {
  /** Without a request. */
  idleSeconds: number;
  /** In all. */
  seconds: number;
  /**
   * For operating the service: from the proof to the provider, and between two such requests. A session of an operator's key ends
   * then. Absent: as long as the session lives.
   */
  operator?: { idleSeconds: number; seconds: number };
}

export interface NewSession {
  id: string;
  /** For the cookie, the only time it can be shown. */
  token: string;
  expiresAt: Date;
}

/** Sessions that one person or key may have at a time; the oldest ends for one more. */
const mostSessions = 50;

/** Whose the new session is, and what is known of how it came. */
export interface SessionOwner {
  personId?: string;
  identityId?: string;
  apiKeyId?: string;
  operatorKeyId?: string;
  chosenTeamId?: string | null;
  authenticatedAt?: Date | null;
  /** The way through the provider: it makes one session. */
  flowId?: string;
  /** What the provider calls its own session. */
  providerSessionId?: string | null;
  userAgent: string | undefined;
}

/**
 * Exchanges a key of a team or an operator for a session that ends with it and has its rights. Null: the key is not let
 * in, and why is not told. Throws GraftError `key_lapsed`.
 */
export async function createKeySession(
  db: Database & { secrets: Secrets },
  key: string,
  limits: SessionLimits,
  userAgent: string | undefined,
): Promise<NewSession | null> {
  const found = await verifyKey(db, `Bearer ${key}`, limits);
  if (!found) return null;
  if (found.kind === 'lapsed') throw keyLapsed(limits);
  const by = found.kind === 'team' ? found.identity : found.operator;
  const owner = found.kind === 'team' ? { apiKeyId: by.keyId! } : { operatorKeyId: by.keyId! };
  return await asSystem(async () => {
    const now = await databaseTime(db);
    return await inTransaction(db, async (tx) => {
      const { seconds, operator } = limits;
      const longest = found.kind === 'operator' && operator ? Math.min(seconds, operator.seconds) : seconds;
      const made = await insertSession(
        tx,
        db.secrets,
        { ...owner, userAgent },
        now,
        { seconds: longest },
        by.expiresAt,
      );
      const teamId = found.kind === 'team' ? found.identity.teamId : null;
      const detail = { method: 'key' };
      await insertAudit(tx, teamId, by, { action: 'session.create', target: made.id, detail });
      return made;
    });
  });
}

/** The row of a new session. Throws GraftError `sign_in_used` when its flow has made one already. */
export async function insertSession(
  tx: Transaction,
  { pepper }: Secrets,
  { userAgent, ...owner }: SessionOwner,
  now: Date,
  { seconds }: Pick<SessionLimits, 'seconds'>,
  last: Date | null = null,
): Promise<NewSession> {
  const made = generateApiKey('session_');
  const { hmac, pepperVersion } = storeSecret(pepper, made.secret);
  const end = new Date(now.getTime() + seconds * 1000);
  const expiresAt = last && last < end ? last : end;
  const { count } = await tx.session.createMany({
    data: {
      id: made.keyId,
      ...owner,
      secretHmac: hmac,
      pepperVersion,
      userAgent: printable(userAgent),
      expiresAt,
    },
    skipDuplicates: true,
  });
  if (count === 0) {
    throw new GraftError('sign_in_used', 'This way of signing in was used already: begin again.', {
      param: 'state',
    });
  }
  await endOldest(tx, owner);
  return { id: made.keyId, token: wholeKey(made), expiresAt };
}

async function endOldest(tx: Transaction, owner: Omit<SessionOwner, 'userAgent'>): Promise<void> {
  const { personId = null, apiKeyId = null, operatorKeyId = null } = owner;
  await tx.$executeRaw`
    UPDATE sessions SET ended_at = now() WHERE id IN (
      SELECT id FROM sessions
      WHERE ended_at IS NULL AND expires_at > now()
        AND (person_id = ${personId} OR api_key_id = ${apiKeyId} OR operator_key_id = ${operatorKeyId})
      ORDER BY created_at DESC, id DESC OFFSET ${mostSessions})`;
}

/** What a browser calls itself, for people to know it by in a list. */
function printable(userAgent: string | undefined): string | null {
  return userAgent?.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200) || null;
}
