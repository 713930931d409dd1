import { GraftError } from '@graft/peft-core/config';
import { type Database, databaseTime } from '../database/database.ts';
import { hasRole, type Role } from './roles.ts';
import { checkLimits } from './scopes.ts';
import type { Identity } from './verify-api-key.ts';

/** Seconds that a key may live: ten years. */
export const mostKeySeconds = 10 * 366 * 24 * 3600;

/** What a new key is to be able to do. */
export interface Rights {
  role: Role;
  /** Null: all that the role may. */
  scopes: readonly string[] | null;
  /** Null: all models. */
  models: readonly string[] | null;
}

const unlimited = { scopes: null, models: null };

/**
 * Checks a new key's rights, and that they are within its maker's; null: the operator, who may give any. Throws
 * GraftError `invalid_scope`, `invalid_model_limit`, `exceeds_maker`.
 */
export function checkRights(rights: Rights, maker: Identity | null): void {
  checkLimits(rights, maker ?? unlimited);
  if (maker && !hasRole(maker.role, rights.role)) {
    throw new GraftError(
      'exceeds_maker',
      `A key cannot have more than whoever makes it: yours is the role ${maker.role}, not ${rights.role}.`,
      { param: 'role' },
    );
  }
}

/** People whom a key invites may do all that a role may: a limited key cannot give that. Throws GraftError `exceeds_maker`. */
export function checkIsUnlimited(maker: Partial<Pick<Identity, 'scopes' | 'models'>> | null): void {
  if (!maker?.scopes && !maker?.models) return;
  throw new GraftError(
    'exceeds_maker',
    'This key is limited to some scopes or models, and a person may do all that the role may. Use a key without limits.',
    { param: 'role' },
  );
}

/**
 * When a key ends that lives for so many seconds: no later than the one that makes it, as it does when no time is asked
 * for. Null: never by itself. Throws GraftError `exceeds_maker`.
 */
export async function endOfKey(
  db: Pick<Database, 'sql'>,
  seconds: number | null,
  maker: { expiresAt: Date | null } | null,
): Promise<Date | null> {
  const last = maker?.expiresAt ?? null;
  if (seconds === null) return last;
  const end = new Date((await databaseTime(db)).getTime() + seconds * 1000);
  if (last && end > last) {
    throw new GraftError(
      'exceeds_maker',
      `A key ends no later than the one that makes it, which ends at ${last.toISOString()}.`,
      { param: 'expires_in' },
    );
  }
  return end;
}
