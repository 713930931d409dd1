const kept = 'graft-invitation';

/** Milliseconds that the way to the provider and back may take: as long as the API waits for it. */
const tripMs = 600_000;

/**
 * The token of the link, from behind the `#`, or from before the way to the provider. It is taken: neither the address, which
 * histories keep, nor the storage has it any longer. Null: there is none.
 */
export function takeToken(): string | null {
  const stored = sessionStorage.getItem(kept);
  sessionStorage.removeItem(kept);
  const given = location.hash.slice(1);
  if (given) {
    history.replaceState(history.state, '', location.pathname + location.search);
    return given;
  }
  const [token = '', until = ''] = stored?.split(' ') ?? [];
  return token && Date.now() < Number(until) ? token : null;
}

/** Keeps the token in this tab alone, while its person is at the provider: no address on that way may have it. */
export const keepForTrip = (token: string) => sessionStorage.setItem(kept, `${token} ${Date.now() + tripMs}`);
