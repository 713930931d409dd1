/**
 * Data that pages keep in localStorage, such as prompts. It belongs to one session, whose id is in each key. The first tab that
 * notices the end of the session removes it, and nothing is written for an ended session.
 */
const prefix = 'graft.kept.';
/** Prefix of every key of the dashboard, earlier versions included. The origin may have keys of other applications. */
const ownPrefix = 'graft.';

/** Session id of this tab; null: signed out. */
let current: string | null = null;

export const storageKey = (session: string | null, ...parts: string[]): string =>
  [`${prefix}${session ?? ''}`, ...parts].join('.');

export function readStored(key: string): string | null {
  return isCurrent(key) ? localStorage.getItem(key) : null;
}

/** Throws when the browser's storage is full. */
export function writeStored(key: string, text: string): void {
  if (isCurrent(key)) localStorage.setItem(key, text);
}

export function removeStored(key: string): void {
  localStorage.removeItem(key);
}

/** Removes the data of other sessions and of earlier versions. Null: signed out. */
export function clearOtherSessions(session: string | null): void {
  current = session;
  for (const key of Object.keys(localStorage))
    if (key.startsWith(ownPrefix) && !isCurrent(key)) localStorage.removeItem(key);
}

const isCurrent = (key: string) => current !== null && key.startsWith(`${prefix}${current}.`);
