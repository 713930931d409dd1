import { GraftError } from '@graft/peft-core/config';
import type { Role } from '@graft/wire/lists';
import { type Database, databaseTime } from '../database/database.ts';
import { hasRole } from './roles.ts';
import { checkLimits } from './scopes.ts';
import type { Identity } from './verify-api-key.ts';

export interface Rights {
  role: Role;
  /** Null: everything that the role may do. */
  scopes: readonly string[] | null;
  /** Null: all models. */
  models: readonly string[] | null;
}

const unlimited = { scopes: null, models: null };

/**
 * Checks that a new key's rights are valid and within its maker's; null: an operator, who may grant any. Throws GraftError `invalid_scope`,
 * `invalid_model_limit`, `exceeds_maker`.
 */
export function checkRights(rights: Rights, maker: Identity | null): void {
  checkLimits(rights, maker ?? unlimited);
  if (maker && !hasRole(maker.role, rights.role)) {
    throw new GraftError(
      'exceeds_maker',
      `A key cannot have more than its creator: yours is the role ${maker.role}, not ${rights.role}.`,
      { param: 'role' },
    );
  }
}

/** Throws GraftError `exceeds_maker` for a limited key: a person it would invite may do everything that the role allows. */
export function checkIsUnlimited(maker: Partial<Pick<Identity, 'scopes' | 'models'>> | null): void {
  if (!maker?.scopes && !maker?.models) return;
  throw new GraftError(
    'exceeds_maker',
    'This key is limited to some scopes or models, and a person may do all that the role may. Use a key without limits.',
    { param: 'role' },
  );
}

/**
 * Returns when a key with this lifetime ends. It must not outlive the key that makes it, and by default ends with that key. Null: never.
 * Throws GraftError `exceeds_maker`.
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
