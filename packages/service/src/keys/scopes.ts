import { GraftError } from '@graft/peft-core/config';
import { matches } from './model-limit.ts';

/**
 * Scopes to which keys can be limited, as docs/teams.md lists them. Every route requires one of them, and each is used by a route. Writing
 * does not include reading: a key may be limited to uploading.
 */
export const scopes = {
  'files:read': 'list, read and download files',
  'files:write': 'upload and delete files',
  'jobs:read': 'list jobs, their events, metrics, checkpoints and attempts; check and estimate jobs',
  'jobs:write': 'create, cancel, pause, resume and delete jobs, and change their priority',
  'models:read': 'list models',
  'models:write': 'delete fine-tuned models, and checkpoints',
  'adapters:read': 'list, compare and download adapters, checkpoints and exports',
  'adapters:write':
    'upload, combine, tag, note, export, delete and restore adapters; make checkpoints versions',
  'publications:write': 'publish adapters and exports on the Hugging Face Hub with the token of the team',
  'completions:write': 'call models: chats, completions, embeddings, classes',
  'integrations:read':
    'list where metrics are sent, whether a token of the Hub is stored, and where the team may publish',
  'integrations:write':
    'set up and delete where metrics are sent, the token of the Hub, and where the team may publish',
  'deploy:read': 'list deploy targets and their state',
  'deploy:write': 'make, change, retry and delete deploy targets, with their API keys',
  'webhooks:read': 'list webhook endpoints and their deliveries',
  'webhooks:write': 'make, change, test and delete webhook endpoints; send again',
  'usage:read': 'read what the team used, and its budget',
  'team:read': 'read the team, its members and invitations, and what sends to other servers',
  'team:write': 'invite, remove and change members; delete the team',
  'keys:read': 'list API keys',
  'keys:write': 'make, rotate and revoke API keys',
  'audit:read': 'list and export the audit log',
} as const;

export type Scope = keyof typeof scopes;

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
