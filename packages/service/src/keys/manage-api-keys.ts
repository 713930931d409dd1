import type { Role } from '@graft/wire/lists';
import type { Database } from '../database/database.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { ApiKey } from '../generated/client.ts';
import { readLimit } from './scopes.ts';
import type { Identity } from './verify-api-key.ts';

export interface ApiKeyRecord {
  id: string;
  teamId: string;
  name: string;
  role: Role;
  /** Null: everything that the role may do. */
  scopes: string[] | null;
  /** Null: all models. */
  models: string[] | null;
  /** Null: the key belongs to the team. */
  personId: string | null;
  /** Id of a key or a person; null: the operator. */
  createdBy: string | null;
  /** The key that made this one, directly or by a session of that key. */
  madeByKey: string | null;
  createdAt: Date;
  lastUsedAt: Date | null;
  expiresAt: Date | null;
  /** The key that replaced this one at `rotatedAt`. */
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

export const withoutSecret = { omit: { secretHmac: true, pepperVersion: true } } as const;

/** Returns a condition for the keys that somebody may see and revoke: an admin all of the team's, others their own. */
export function keysWithinReach({ role, keyId, personId }: Identity): { OR?: object[] } {
  if (role === 'admin') return {};
  return { OR: [{ id: keyId ?? '' }, ...(personId === null ? [] : [{ personId }])] };
}

/**
 * Lists a team's keys without their secrets, which are not stored, newest first. `reader`: only the keys that this identity may see. Throws
 * GraftError `invalid_cursor`.
 */
export async function listApiKeys(
  { db }: Database,
  teamId: string,
  options: PageOptions & { reader?: Identity },
): Promise<Page<ApiKeyRecord>> {
  const where = { teamId, ...(options.reader ? keysWithinReach(options.reader) : {}) };
  return await listRows(db.apiKey, options, { where, ...withoutSecret }, apiKeyOf);
}

export async function getApiKey({ db }: Database, teamId: string, id: string): Promise<ApiKeyRecord | null> {
  const row = await db.apiKey.findFirst({ where: { id, teamId }, ...withoutSecret });
  return row && apiKeyOf(row);
}
