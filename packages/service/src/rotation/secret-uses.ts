import type { Database } from '../database/database.ts';
import type { SecretRing } from '../secrets/secret-ring.ts';
import type { Secrets } from '../secrets/secrets.ts';

const kinds = ['apiKeys', 'operatorKeys', 'sessions', 'invitations', 'sealed'] as const;
type Kind = (typeof kinds)[number];

/** Number of rows that still need one version of a secret. `sealed`: encrypted secrets of webhooks, integrations and deploy targets. */
export interface SecretUse extends Record<Kind, number> {
  setting: SecretRing['setting'];
  version: number;
  /** current: used for new rows; held: only verifies and opens; absent: rows refer to it, but this process does not have it. */
  state: 'current' | 'held' | 'absent';
  /** When the last of these rows expires. Null if some never expire, or there are none. */
  endsAt: Date | null;
  /** Keys that no request has used since the version stopped being the current one: at most 20. */
  keyIds: string[];
}

interface Group {
  /** Version as named in a seal: `pepper:1`. */
  name: string;
  kind: Kind;
  count: number;
  endsAt: Date | null;
  isEndless: boolean;
  keyIds: string[];
}

const living = `SELECT 'pepper:' || k.pepper_version AS name, 'apiKeys' AS kind, k.id, k.expires_at FROM api_keys k
    JOIN teams t ON t.id = k.team_id AND t.deleted_at IS NULL WHERE k.revoked_at IS NULL
  UNION ALL SELECT 'pepper:' || pepper_version, 'operatorKeys', id, expires_at FROM operator_keys WHERE revoked_at IS NULL
  UNION ALL SELECT 'pepper:' || pepper_version, 'operatorKeys', id, expires_at FROM scim_tokens WHERE revoked_at IS NULL
  UNION ALL SELECT 'pepper:' || pepper_version, 'sessions', NULL, expires_at FROM sessions WHERE ended_at IS NULL
  UNION ALL SELECT 'pepper:' || pepper_version, 'invitations', NULL, expires_at FROM invitations
    WHERE accepted_at IS NULL AND revoked_at IS NULL
  UNION ALL SELECT sealed_by, 'sealed', NULL, expires_at FROM webhook_secrets
  UNION ALL SELECT sealed_by, 'sealed', NULL, NULL FROM integrations WHERE sealed IS NOT NULL
  UNION ALL SELECT sealed_by, 'sealed', NULL, NULL FROM deploy_targets WHERE sealed IS NOT NULL`;

/** Lists every version that this process has, or that a valid row needs: by setting, newest first. */
export async function readSecretUses({
  sql,
  secrets,
}: Pick<Database, 'sql'> & { secrets: Pick<Secrets, 'pepper' | 'sealing'> }): Promise<SecretUse[]> {
  const { rows: groups } = await sql.query<Group>(
    `SELECT name, kind, count(*)::int AS count, max(expires_at) AS "endsAt", bool_or(expires_at IS NULL) AS "isEndless",
       coalesce((array_agg(id ORDER BY id) FILTER (WHERE id IS NOT NULL))[1:20], '{}') AS "keyIds"
     FROM (${living}) AS living WHERE expires_at IS NULL OR expires_at > now() GROUP BY name, kind`,
  );
  const { pepper, sealing } = secrets;
  // Sealed by a key that this process was not started with.
  const others = groups.filter(
    ({ name }) => ![pepper, sealing].some((ring) => name.startsWith(`${ring.name}:`)),
  );
  return [
    ...[...new Set([pepper, sealing])].flatMap((ring) => usesOf(ring, groups)),
    ...versionsOf(others).map((version) => useOf('GRAFT_SEALING_KEY', version, 'absent', others)),
  ];
}

function usesOf({ name, setting, current, versions }: SecretRing, all: Group[]): SecretUse[] {
  const groups = all.filter((group) => group.name.startsWith(`${name}:`));
  const held = new Set(versions.map(({ version }) => version));
  const known = [...new Set([...held, ...versionsOf(groups)])].sort((a, b) => b - a);
  return known.map((version) => {
    const state = version === current.version ? 'current' : held.has(version) ? 'held' : 'absent';
    return useOf(setting, version, state, groups);
  });
}

const versionsOf = (groups: Group[]) => [...new Set(groups.map(({ name }) => Number(name.split(':')[1])))];

function useOf(
  setting: SecretRing['setting'],
  version: number,
  state: SecretUse['state'],
  groups: Group[],
): SecretUse {
  const of = groups.filter(({ name }) => name.endsWith(`:${version}`));
  const count = (kind: Kind) => of.find((group) => group.kind === kind)?.count ?? 0;
  const ends = of.some(({ isEndless }) => isEndless) ? [] : of.map(({ endsAt }) => endsAt!.getTime());
  return {
    setting,
    version,
    state,
    apiKeys: count('apiKeys'),
    operatorKeys: count('operatorKeys'),
    sessions: count('sessions'),
    invitations: count('invitations'),
    sealed: count('sealed'),
    endsAt: ends.length > 0 ? new Date(Math.max(...ends)) : null,
    keyIds: state === 'current' ? [] : of.flatMap(({ keyIds }) => keyIds).slice(0, 20),
  };
}

/** Returns the number of rows that stop working, or cannot be read, without this version. */
export function countUses(use: SecretUse): number {
  return kinds.reduce((sum, kind) => sum + use[kind], 0);
}
