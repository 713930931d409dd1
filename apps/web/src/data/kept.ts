/**
 * What pages keep in the browser, prompts among it, is one session's: its name begins with the session's id. It is removed when
 * the session is over, in whichever tab that is noticed, and nothing is written for a session that is.
 */
const prefix = 'graft.kept.';
/** Of all names of the dashboard, of earlier versions too: the origin may have pages that are not Graft's. */
const own = 'graft.';

/** Of whom this tab is; null: nobody is signed in. */
let current: string | null = null;

export const keptName = (session: string | null, ...parts: string[]): string =>
  [`${prefix}${session ?? ''}`, ...parts].join('.');

export function readKept(name: string): string | null {
  return isCurrent(name) ? localStorage.getItem(name) : null;
}

/** Throws when the browser has no space left. */
export function writeKept(name: string, text: string): void {
  if (isCurrent(name)) localStorage.setItem(name, text);
}

export function removeKept(name: string): void {
  localStorage.removeItem(name);
}

/** Removes what is of other sessions, and what an earlier version kept. Null: nobody is signed in. */
export function keepOnlyOf(session: string | null): void {
  current = session;
  for (const name of Object.keys(localStorage))
    if (name.startsWith(own) && !isCurrent(name)) localStorage.removeItem(name);
}

const isCurrent = (name: string) => current !== null && name.startsWith(`${prefix}${current}.`);
