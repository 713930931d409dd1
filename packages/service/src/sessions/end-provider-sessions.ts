import { GraftError } from '@graft/peft-core/config';
import { graftItself } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { asSystem } from '../database/on-behalf-of.ts';

/** What a verified logout token of a provider says. One of `subject` and `providerSession` is not null. */
export interface ProviderLogout {
  issuer: string;
  /** Whose sessions end. Null: whoever has `providerSession`. */
  subject: string | null;
  /** Which session at the provider has ended. Null: all of the subject. */
  providerSession: string | null;
  /** By which a token is known to have been used. */
  tokenId: string;
  /** Until then the token would be accepted. */
  expiresAt: Date;
}

/**
 * Ends the sessions that a provider has ended, at once on every process; keys go on, and lapse. Answers how many there were. Throws
 * GraftError `invalid_logout_token` when the token was used before.
 */
export async function endProviderSessions(db: Database, logout: ProviderLogout): Promise<number> {
  const { issuer, subject, providerSession, tokenId, expiresAt } = logout;
  return await asSystem(async () =>
    inTransaction(db, async (tx) => {
      const { count } = await tx.logoutToken.createMany({
        data: { issuer, tokenId, expiresAt },
        skipDuplicates: true,
      });
      if (count === 0) {
        throw new GraftError('invalid_logout_token', 'This logout token was used before.', {
          param: 'logout_token',
        });
      }
      // A session that does not tell which of the provider's it came of, as those of earlier versions, may be the one that is meant.
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
    }),
  );
}
