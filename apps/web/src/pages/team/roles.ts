import type { Role } from '@graft/client';

/** From the least to the most. */
export const roleOptions: readonly (readonly [Role, string])[] = [
  ['viewer', 'Viewer'],
  ['member', 'Member'],
  ['admin', 'Admin'],
];

export const roleHint =
  'A viewer reads, a member also trains and calls models, an admin also manages people and keys.';

const day = 86_400;

/** Seconds as the API takes them, by what people say; '' is no end. */
export const keyEnds: readonly (readonly [string, string])[] = [
  [String(30 * day), 'In 30 days'],
  [String(90 * day), 'In 90 days'],
  [String(365 * day), 'In a year'],
  ['', 'Never'],
];
