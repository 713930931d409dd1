import { GraftError } from '@graft/peft-core/config';
import type { Role } from '@graft/wire/lists';
import type { Requester } from '../audit/actor.ts';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { isSecret, type ParsedKey, parseApiKey, parseOperatorKey, renewSecret } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { smallerRole } from './roles.ts';
import { readLimit } from './scopes.ts';

/** Who sends a request in a team: a key, or a person who is signed in without a key. */
export type Identity = CallerRights & Requester;

interface CallerRights {
  teamId: string;
  teamName: string;
  /** For a person's key, the smaller of the key's and the person's role. */
  role: Role;
  /** Null: everything that the role may do. */
  scopes: readonly string[] | null;
  /** Model names and prefixes; null: all models. */
  models: readonly string[] | null;
  /** When the key ends; null: never. */
  expiresAt: Date | null;
}

/** An operator of the service, who belongs to no team, by a key or signed in. */
export type Operator = Requester & {
  /** When the key ends; null: never. */
  expiresAt: Date | null;
};

/** Null for an operator or no requester, whom rights in a team do not limit. */
export const identityInTeam = (by: Identity | Operator | null): Identity | null =>
  by && 'role' in by ? by : null;

/** Result of verifying an `Authorization` header. `lapsed`: the key is correct, but its owner must sign in first. */
export type Verified =
  | { kind: 'team'; identity: Identity }
  | { kind: 'operator'; operator: Operator }
  | { kind: 'lapsed' };

export interface KeyLapse {
  /** Days after the owner's last sign-in for which keys of people with a provider work; 0: unlimited. Team keys never lapse. */
  keyLapseDays?: number | undefined;
}

const never: KeyLapse = {};

/** SQL: whether the keys of person `p` have lapsed; `days` is a parameter. Keys of people whom no provider verified never lapse. */
export const isLapsed = (days: string) =>
  `coalesce(${days}::int > 0 AND coalesce(p.signed_in_at, p.verified_at) < now() - make_interval(days => ${days}::int), false)`;

export function keyLapsed({ keyLapseDays }: KeyLapse): GraftError {
  return new GraftError(
    'key_lapsed',
    `The key sleeps, since the person whose it is has not signed in for ${keyLapseDays} days. It works again once they sign in, in a browser at /v1/sign-in of this service. Programs use a key of the team: \`graft team keys create --of-team\`.`,
    { param: null },
  );
}

/** SQL: the team keys that are valid now. */
const livingKeys = `FROM api_keys k
  JOIN teams t ON t.id = k.team_id AND t.deleted_at IS NULL
  LEFT JOIN people p ON p.id = k.person_id AND p.disabled_at IS NULL
  LEFT JOIN memberships m ON m.team_id = k.team_id AND m.person_id = p.id
  WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    AND (k.person_id IS NULL OR m.person_id IS NOT NULL)`;

/** Returns which of these team keys are no longer valid, in one statement. */
export async function findDeadKeys(
  { sql }: Database,
  ids: string[],
  { keyLapseDays = 0 }: KeyLapse = never,
): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(
    `SELECT k.id ${livingKeys} AND k.id = ANY($1) AND NOT ${isLapsed('$2')}`,
    [ids, keyLapseDays],
  );
  const living = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => !living.has(id));
}

type Verifying = Database & { secrets: Secrets };

/**
 * Verifies an `Authorization` header. Returns null for anything but a valid key: no header, another scheme, unknown, wrong, revoked,
 * expired, of a deleted team, of a person who left the team or is disabled; the caller cannot distinguish these cases. `lapsed` is only
 * returned for the correct full key.
 */
export async function verifyKey(
  db: Verifying,
  authorization: string | undefined,
  lapse: KeyLapse = never,
): Promise<Verified | null> {
  const key = bearerOf(authorization);
  if (key === undefined) return null;
  // Runs as the system, because the team is not known yet.
  return await withSystemScope(async () => {
    const operator = await verifyOperatorKey(db, key, lapse);
    if (operator === 'lapsed') return { kind: 'lapsed' };
    if (operator) return { kind: 'operator', operator };
    const identity = await verifyTeamKey(db, key, lapse);
    if (identity === 'lapsed') return { kind: 'lapsed' };
    return identity && { kind: 'team', identity };
  });
}

/** As `verifyKey`, for team keys only. */
export async function verifyApiKey(
  db: Verifying,
  authorization: string | undefined,
): Promise<Identity | null> {
  const key = bearerOf(authorization);
  if (key === undefined) return null;
  const identity = await withSystemScope(async () => await verifyTeamKey(db, key, never));
  return identity === 'lapsed' ? null : identity;
}

function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}

async function verifyTeamKey(
  db: Verifying,
  key: string,
  { keyLapseDays = 0 }: KeyLapse,
): Promise<Identity | 'lapsed' | null> {
  const parsed = parseApiKey(key);
  if (!parsed) return null;
  // Runs on every request, so it bypasses Prisma, which takes several queries and five times as long.
  const { rows } = await db.sql.query<
    Identity & StoredKey & { scopes: string[]; models: string[]; personsRole: Role | null }
  >(
    `SELECT k.team_id AS "teamId", t.name AS "teamName", k.id AS "keyId", k.role, k.scopes, k.models,
       k.person_id AS "personId", m.role AS "personsRole", k.expires_at AS "expiresAt", k.secret_hmac AS hmac,
       k.pepper_version AS "pepperVersion",
       coalesce(k.last_used_at < now() - interval '1 minute', true) AS "isStale", ${isLapsed('$2')} AS "isLapsed"
     ${livingKeys} AND k.id = $1`,
    [parsed.keyId, keyLapseDays],
  );
  const row = rows[0];
  // An unknown id costs the same comparison as a known one.
  if (!(await isSecret(db.secrets.pepper, parsed.secret, row)) || !row) return null;
  if (row.isLapsed) return 'lapsed';
  await recordUse(db, 'api_keys', parsed, row);
  return {
    teamId: row.teamId,
    teamName: row.teamName,
    role: row.personsRole === null ? row.role : smallerRole(row.role, row.personsRole),
    scopes: readLimit(row.scopes),
    models: readLimit(row.models),
    keyId: parsed.keyId,
    personId: row.personId,
    expiresAt: row.expiresAt,
  };
}

async function verifyOperatorKey(
  db: Verifying,
  key: string,
  { keyLapseDays = 0 }: KeyLapse,
): Promise<Operator | 'lapsed' | null> {
  const parsed = parseOperatorKey(key);
  if (!parsed) return null;
  const { rows } = await db.sql.query<Operator & StoredKey>(
    `SELECT k.id AS "keyId", k.person_id AS "personId", k.expires_at AS "expiresAt", k.secret_hmac AS hmac,
       k.pepper_version AS "pepperVersion",
       coalesce(k.last_used_at < now() - interval '1 minute', true) AS "isStale", ${isLapsed('$2')} AS "isLapsed"
     FROM operator_keys k LEFT JOIN people p ON p.id = k.person_id
     WHERE k.id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
       AND (k.person_id IS NULL OR (p.is_operator AND p.disabled_at IS NULL))`,
    [parsed.keyId, keyLapseDays],
  );
  const row = rows[0];
  if (!(await isSecret(db.secrets.pepper, parsed.secret, row)) || !row) return null;
  if (row.isLapsed) return 'lapsed';
  await recordUse(db, 'operator_keys', parsed, row);
  return { keyId: parsed.keyId, personId: row.personId, expiresAt: row.expiresAt };
}

interface StoredKey {
  hmac: Buffer;
  pepperVersion: number;
  /** True where the last recorded use is at least a minute old. */
  isStale: boolean;
  isLapsed: boolean;
}

/**
 * Records a use of a key or session, and stores its secret under the pepper's current version. No request waits for another one, or for a
 * revocation. `hasOperated`: of a session that operated the service.
 */
export async function recordUse(
  { sql, secrets }: Verifying,
  table: 'api_keys' | 'operator_keys' | 'sessions',
  { keyId, secret }: ParsedKey,
  { isStale, pepperVersion }: Pick<StoredKey, 'isStale' | 'pepperVersion'>,
  hasOperated = false,
): Promise<void> {
  const renewed = renewSecret(secrets.pepper, secret, pepperVersion);
  if (!isStale && !renewed && !hasOperated) return;
  await sql.query(
    `UPDATE ${table} SET last_used_at = now(), secret_hmac = coalesce($2, secret_hmac),
       pepper_version = coalesce($3, pepper_version)${hasOperated ? ', operator_used_at = now()' : ''}
     WHERE id = (SELECT id FROM ${table} WHERE id = $1 AND ($3::int IS NULL OR pepper_version < $3)
                 FOR NO KEY UPDATE SKIP LOCKED)`,
    [keyId, renewed && Buffer.from(renewed.hmac), renewed?.pepperVersion ?? null],
  );
}
