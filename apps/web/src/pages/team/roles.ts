import type { Role } from '@graft/client';

/** In order of increasing permissions. */
export const roleOptions: readonly (readonly [Role, string])[] = [
  ['viewer', 'Viewer'],
  ['member', 'Member'],
  ['admin', 'Admin'],
];

export const roleHint =
  'Viewers read. Members also train and call models. Admins also manage members and API keys.';

const day = 86_400;

/** Seconds until expiry; '' is never. */
export const expiryOptions: readonly (readonly [string, string])[] = [
  [String(30 * day), 'In 30 days'],
  [String(90 * day), 'In 90 days'],
  [String(365 * day), 'In 1 year'],
  ['', 'Never'],
];
