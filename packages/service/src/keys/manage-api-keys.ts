import type { Database } from '../database/database.ts';
import { type Page, readPage } from '../database/read-page.ts';
import type { ApiKey } from '../generated/client.ts';
import type { Role } from './roles.ts';
import { readLimit } from './scopes.ts';
import type { Identity } from './verify-api-key.ts';

export interface ApiKeyRecord {
  id: string;
  teamId: string;
  name: string;
  role: Role;
  /** Null: all that the role may. */
  scopes: string[] | null;
  /** Null: all models. */
  models: string[] | null;
  /** Null: the team's own. */
  personId: string | null;
  /** A key or a person; null: the operator. */
  createdBy: string | null;
  /** The key by which it was made, also by a session of that key. */
  madeByKey: string | null;
  createdAt: Date;
  lastUsedAt: Date | null;
  expiresAt: Date | null;
  /** The key that took its place, since `rotatedAt`. */
  replacedBy: string | null;
  rotatedAt: Date | null;
  revokedAt: Date | null;
}

export function apiKeyOf({
  role,
  scopes,
  models,
  ...row
}: Omit<ApiKey, 'secretHmac' | 'pepperVersion'>): ApiKeyRecord {
  return { ...row, role: role as Role, scopes: readLimit(scopes), models: readLimit(models) };
}

const withoutSecret = { omit: { secretHmac: true, pepperVersion: true } } as const;

/** Which of a team's keys somebody may see and end: an admin all, others their own. */
export function keysWithinReach({ role, keyId, personId }: Identity): { OR?: object[] } {
  if (role === 'admin') return {};
  return { OR: [{ id: keyId ?? '' }, ...(personId === null ? [] : [{ personId }])] };
}

/**
 * A team's keys, newest first, without their secrets, which nobody has. `reader`: only those within reach. Throws
 * GraftError `invalid_cursor`.
 */
export async function listApiKeys(
  { db }: Database,
  teamId: string,
  options: { after?: string | undefined; limit: number; reader?: Identity },
): Promise<Page<ApiKeyRecord>> {
  const where = { teamId, ...(options.reader ? keysWithinReach(options.reader) : {}) };
  return await readPage(options, {
    has: async (id) => await db.apiKey.count({ where: { AND: [where, { id }] } }),
    read: async (page) =>
      await db.apiKey.findMany({
        where,
        ...withoutSecret,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        ...page,
      }),
    toRecord: apiKeyOf,
  });
}

/** Null: no such key in this team. */
export async function getApiKey({ db }: Database, teamId: string, id: string): Promise<ApiKeyRecord | null> {
  const row = await db.apiKey.findFirst({ where: { id, teamId }, ...withoutSecret });
  return row && apiKeyOf(row);
}
