const storageKey = 'graft-invitation';

/** Milliseconds allowed for the sign-in at the identity provider; the same as the API's limit. */
const signInMs = 600_000;

/**
 * The token from the URL's fragment, or the one stored before the sign-in at the provider. It is removed from both, so that no browser
 * history contains it. Null: none.
 */
export function takeToken(): string | null {
  const stored = sessionStorage.getItem(storageKey);
  sessionStorage.removeItem(storageKey);
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(history.state, '', location.pathname + location.search);
    return token;
  }
  const [storedToken = '', until = ''] = stored?.split(' ') ?? [];
  return storedToken && Date.now() < Number(until) ? storedToken : null;
}

/** Stores the token in this tab during the sign-in at the provider, so that no URL on the way contains it. */
export const storeToken = (token: string) =>
  sessionStorage.setItem(storageKey, `${token} ${Date.now() + signInMs}`);
