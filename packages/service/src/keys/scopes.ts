import { GraftError } from '@graft/peft-core/config';
import { type Scope, scopes } from '@graft/wire/lists';
import { matches } from './model-limit.ts';

/** Maximum number of models or scopes of a key; every request checks them. */
const maxEntries = 64;

/** Matches all scopes, or all models. */
const all = '*';

/** Returns a limit as it is stored; null (no limit) as `*`. */
export const storedLimit = (limit: readonly string[] | null): string[] => (limit ? [...limit] : [all]);
/** Returns a stored limit; null: no limit. */
export const readLimit = (stored: readonly string[]): string[] | null =>
  stored.includes(all) ? null : [...stored];

export function allowsScope(limit: readonly string[] | null, scope: Scope): boolean {
  return limit === null || limit.includes(scope);
}

/**
 * Checks the limits of a new key, and that they are within `maker`'s; null: no limit. Throws GraftError `invalid_scope`,
 * `invalid_model_limit`, `exceeds_maker`, with `param`.
 */
export function checkLimits(
  wanted: { scopes: readonly string[] | null; models: readonly string[] | null },
  maker: { scopes: readonly string[] | null; models: readonly string[] | null },
): void {
  checkEntries('scopes', wanted.scopes);
  checkEntries('models', wanted.models);
  const unknown = wanted.scopes?.find((scope) => !Object.hasOwn(scopes, scope));
  if (unknown !== undefined) {
    const known = Object.keys(scopes).join(', ');
    throw new GraftError('invalid_scope', `There is no scope '${unknown}'. Scopes: ${known}.`, {
      param: 'scopes',
    });
  }
  const odd = wanted.models?.find((model) => model === all || model.slice(0, -1).includes('*'));
  if (odd !== undefined) {
    throw new GraftError(
      'invalid_model_limit',
      `'${odd}': a model is named by its id or its beginning with one * behind (ft:tiny:*); null stands for all models.`,
      { param: 'models' },
    );
  }
  for (const param of ['scopes', 'models'] as const) {
    const [limit, most] = [wanted[param], maker[param]];
    if (most === null) continue;
    // The prefix `ft:a*` allows the prefix `ft:ab*`, because `matches` compares it like a model name.
    const beyond =
      limit === null ? 'all' : limit.find((entry) => !most.some((other) => matches(other, entry)));
    if (beyond !== undefined) {
      throw new GraftError(
        'exceeds_maker',
        `A key cannot have more than its creator: of ${param} '${beyond}' is none of yours (${most.join(', ') || 'none'}).`,
        { param },
      );
    }
  }
}

function checkEntries(param: 'scopes' | 'models', limit: readonly string[] | null): void {
  const isFine =
    limit === null || (limit.length <= maxEntries && limit.every((entry) => /^\S{1,256}$/.test(entry)));
  if (isFine) return;
  throw new GraftError(
    param === 'scopes' ? 'invalid_scope' : 'invalid_model_limit',
    `${param} has at most ${maxEntries} entries of 1 to 256 characters without spaces.`,
    { param },
  );
}
