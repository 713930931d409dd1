import { GraftError } from '@graft/peft-core/config';
import { graftItself } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inSystemTransaction } from '../database/in-transaction.ts';

/** A verified logout token of a provider. At least one of `subject` and `providerSession` is not null. */
export interface ProviderLogout {
  issuer: string;
  /** Subject whose sessions end. Null: the owner of `providerSession`. */
  subject: string | null;
  /** The provider's session that has ended. Null: all sessions of the subject. */
  providerSession: string | null;
  /** Id by which a reused token is detected. */
  tokenId: string;
  /** Time until which the token would be accepted. */
  expiresAt: Date;
}

/**
 * Ends the sessions that a provider has ended, at once on every process; keys remain valid until they lapse. Returns the number of ended
 * sessions. Throws GraftError `invalid_logout_token` if the token was used before.
 */
export async function endProviderSessions(db: Database, logout: ProviderLogout): Promise<number> {
  const { issuer, subject, providerSession, tokenId, expiresAt } = logout;
  return await inSystemTransaction(db, async (tx) => {
    const { count } = await tx.logoutToken.createMany({
      data: { issuer, tokenId, expiresAt },
      skipDuplicates: true,
    });
    if (count === 0) {
      throw new GraftError('invalid_logout_token', 'This logout token was used before.', {
        param: 'logout_token',
      });
    }
    // A session without a recorded provider session, such as those of earlier versions, may be the one that ended.
    const ended = await tx.$queryRaw<{ personId: string }[]>`
        UPDATE sessions s SET ended_at = now() FROM person_identities i
        WHERE i.id = s.identity_id AND i.issuer = ${issuer} AND s.ended_at IS NULL
          AND (${subject}::text IS NULL OR i.subject = ${subject})
          AND (${providerSession}::text IS NULL OR s.provider_session_id = ${providerSession}
            OR (${subject}::text IS NOT NULL AND s.provider_session_id IS NULL))
        RETURNING s.person_id AS "personId"`;
    const target = ended[0]?.personId;
    if (target !== undefined) {
      const detail = { reason: 'provider_logout', issuer, sessions: ended.length };
      await insertAudit(tx, null, graftItself, { action: 'session.end', target, detail });
    }
    return ended.length;
  });
}
