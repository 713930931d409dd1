import { GraftError } from '@graft/peft-core/config';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, databaseTime, type Transaction } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { type KeyLapse, keyLapsed, verifyKey } from '../keys/verify-api-key.ts';
import { generateApiKey, storeSecret, wholeKey } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';

/** Lifetimes of sessions, in seconds. */
export interface SessionLimits extends KeyLapse {
  /** Maximum time without a request. */
  idleSeconds: number;
  /** Total lifetime. */
  seconds: number;
  /**
   * Limits for operating the service: seconds since the sign-in at the provider, and between two operator requests. A session of an
   * operator's key ends after `seconds`. Undefined: as long as the session lives.
   */
  operator?: { idleSeconds: number; seconds: number };
}

export interface NewSession {
  id: string;
  /** Value of the cookie, which cannot be shown again. */
  token: string;
  expiresAt: Date;
}

/** Maximum number of sessions of a person or key; a new session ends the oldest. */
const maxSessions = 50;

export interface SessionOwner {
  personId?: string;
  identityId?: string;
  apiKeyId?: string;
  operatorKeyId?: string;
  chosenTeamId?: string | null;
  authenticatedAt?: Date | null;
  /** Id of the sign-in flow, which can create only one session. */
  flowId?: string;
  providerSessionId?: string | null;
  userAgent: string | undefined;
}

/**
 * Exchanges a key of a team or an operator for a session that ends with the key and has its rights. Null: the key is invalid, for an
 * undisclosed reason. Throws GraftError `key_lapsed`.
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
  return await withSystemScope(async () => {
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

/** Inserts a new session. Throws GraftError `sign_in_used` if its flow has created one already. */
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
      ORDER BY created_at DESC, id DESC OFFSET ${maxSessions})`;
}

/** Returns a printable user agent, by which people recognise the browser in a list. */
function printable(userAgent: string | undefined): string | null {
  return userAgent?.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200) || null;
}
