import type { Role } from '@graft/wire/lists';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { smallerRole } from '../keys/roles.ts';
import { readLimit } from '../keys/scopes.ts';
import { type Identity, isLapsed, type Operator, recordUse } from '../keys/verify-api-key.ts';
import { isSecret, parseSessionToken } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { SessionLimits } from './create-session.ts';

export interface VerifiedSession {
  id: string;
  method: 'oidc' | 'key';
  expiresAt: Date;
  /** The person who signed in or owns the key; null for a key without an owner. */
  personId: string | null;
  /** Identity in the team that the request names, or else in the chosen one. Null: not a member of it. */
  identity: Identity | null;
  /** Null: not an operator. */
  operator: Operator | null;
  /** True where the session may operate the service now: the person authenticated recently, and has not been idle since. */
  isRecent: boolean;
}

/** Seconds: longer than any session lives. */
const forever = 2 ** 31 - 1;

interface Row {
  id: string;
  hmac: Buffer;
  pepperVersion: number;
  expiresAt: Date;
  isStale: boolean;
  isRecent: boolean;
  isOperatorStale: boolean;
  personId: string | null;
  isOperator: boolean;
  teamId: string | null;
  teamName: string | null;
  personsRole: Role | null;
  keyId: string | null;
  keyRole: Role | null;
  keyEnds: Date | null;
  keyScopes: string[] | null;
  keyModels: string[] | null;
  operatorKeyId: string | null;
}

/**
 * SQL: the valid sessions, neither ended nor too old, of a person who is not disabled or of a valid key. `$1`: maximum idle seconds;
 * `asked`: the team that a request names, by id or name; `lapse`: days until keys of people lapse.
 */
const living = (asked: string, lapse: string) => `FROM sessions s
  LEFT JOIN api_keys k ON k.id = s.api_key_id AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
  LEFT JOIN operator_keys o ON o.id = s.operator_key_id AND o.revoked_at IS NULL AND (o.expires_at IS NULL OR o.expires_at > now())
  LEFT JOIN people p ON p.id = coalesce(s.person_id, k.person_id, o.person_id) AND p.disabled_at IS NULL
  LEFT JOIN teams t ON t.deleted_at IS NULL AND CASE
    WHEN ${asked} IS NULL THEN t.id = coalesce(k.team_id, s.chosen_team_id)
    ELSE (t.id = ${asked} OR t.name = ${asked}) AND (k.team_id IS NULL OR t.id = k.team_id) END
  LEFT JOIN memberships m ON m.team_id = t.id AND m.person_id = p.id
  LEFT JOIN teams kt ON kt.id = k.team_id AND kt.deleted_at IS NULL
  LEFT JOIN memberships km ON km.team_id = k.team_id AND km.person_id = p.id
  WHERE s.ended_at IS NULL AND s.expires_at > now() AND s.last_used_at > now() - make_interval(secs => $1::int)
    AND CASE
      WHEN s.person_id IS NOT NULL THEN p.id IS NOT NULL
      WHEN ${isLapsed(lapse)} THEN false
      WHEN s.api_key_id IS NOT NULL THEN kt.id IS NOT NULL AND (k.person_id IS NULL OR km.person_id IS NOT NULL)
      ELSE o.id IS NOT NULL AND (o.person_id IS NULL OR p.is_operator) END`;

/**
 * Verifies the token of a cookie, and returns its session with the current rights. `team`: the team that the request names, by id or name.
 * `operates`: the request operates the service, which is recorded. Null for anything but a valid session, without the reason.
 */
export async function verifySession(
  db: Database & { secrets: Secrets },
  token: string,
  {
    idleSeconds,
    keyLapseDays = 0,
    operator = { idleSeconds, seconds: forever },
  }: Omit<SessionLimits, 'seconds'>,
  team: string | null,
  operates = false,
): Promise<VerifiedSession | null> {
  const parsed = parseSessionToken(token);
  if (!parsed) return null;
  return await withSystemScope(async () => {
    const { rows } = await db.sql.query<Row>(
      `SELECT s.id, s.secret_hmac AS hmac, s.pepper_version AS "pepperVersion", s.expires_at AS "expiresAt", p.id AS "personId",
         coalesce(p.is_operator, false) AS "isOperator", t.id AS "teamId", t.name AS "teamName", m.role AS "personsRole",
         k.id AS "keyId", k.role AS "keyRole", k.expires_at AS "keyEnds", k.scopes AS "keyScopes", k.models AS "keyModels",
         o.id AS "operatorKeyId", s.last_used_at < now() - interval '1 minute' AS "isStale",
         coalesce(s.operator_used_at < now() - interval '1 minute', true) AS "isOperatorStale",
         coalesce(s.operator_key_id IS NOT NULL OR
           (s.authenticated_at > now() - make_interval(secs => $4::int)
             AND greatest(s.created_at, s.operator_used_at) > now() - make_interval(secs => $5::int)), false) AS "isRecent"
       ${living('$3::text', '$6')} AND s.id = $2
         AND (s.operator_key_id IS NULL OR
           (s.created_at > now() - make_interval(secs => $4::int) AND s.last_used_at > now() - make_interval(secs => $5::int)))`,
      [idleSeconds, parsed.keyId, team, operator.seconds, operator.idleSeconds, keyLapseDays],
    );
    const row = rows[0];
    // An unknown id costs the same comparison as a known one.
    if (!(await isSecret(db.secrets.pepper, parsed.secret, row)) || !row) return null;
    await recordUse(db, 'sessions', parsed, row, operates && row.isRecent && row.isOperatorStale);
    return {
      id: row.id,
      method: row.keyId === null && row.operatorKeyId === null ? 'oidc' : 'key',
      expiresAt: row.expiresAt,
      personId: row.personId,
      identity: identityOf(row),
      operator: operatorOf(row),
      isRecent: row.isRecent,
    };
  });
}

/** A key's session has the rights of the key; a person's has everything that their role allows. */
function identityOf(row: Row): Identity | null {
  const { teamId, teamName, personsRole, keyId, keyRole, personId } = row;
  if (teamId === null || teamName === null || row.operatorKeyId !== null) return null;
  const team = { teamId, teamName, expiresAt: null };
  if (keyId === null) {
    if (personsRole === null || personId === null) return null;
    return { ...team, role: personsRole, scopes: null, models: null, keyId: null, personId };
  }
  return {
    ...team,
    personId,
    role: personsRole === null ? keyRole! : smallerRole(keyRole!, personsRole),
    scopes: readLimit(row.keyScopes!),
    models: readLimit(row.keyModels!),
    keyId,
    expiresAt: row.keyEnds,
  };
}

function operatorOf({ keyId, operatorKeyId, personId, isOperator, expiresAt }: Row): Operator | null {
  if (operatorKeyId !== null) return { keyId: operatorKeyId, personId, expiresAt };
  // Objects that an operator creates in a session may outlive it, as with their keys: they end with the person.
  return keyId === null && personId !== null && isOperator
    ? { keyId: null, personId, expiresAt: null }
    : null;
}

/** Returns which of these sessions are no longer valid in their team, in one statement. */
export async function findDeadSessions<T extends { session: string; team: string }>(
  { sql }: Database,
  { idleSeconds, keyLapseDays = 0 }: Pick<SessionLimits, 'idleSeconds' | 'keyLapseDays'>,
  open: T[],
): Promise<T[]> {
  const { rows } = await sql.query<{ id: string; teamId: string }>(
    `SELECT s.id, w.team AS "teamId"
     FROM unnest($2::text[], $3::text[]) AS w(session, team),
       LATERAL (SELECT s.id, s.api_key_id, m.person_id ${living('w.team', '$4')} AND s.id = w.session) s
     WHERE s.api_key_id IS NOT NULL OR s.person_id IS NOT NULL`,
    [idleSeconds, open.map(({ session }) => session), open.map(({ team }) => team), keyLapseDays],
  );
  const alive = new Set(rows.map(({ id, teamId }) => `${id} ${teamId}`));
  return open.filter(({ session, team }) => !alive.has(`${session} ${team}`));
}
