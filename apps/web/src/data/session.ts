import { GraftApiError, type Me, type Role } from '@graft/client';
import { useQuery, useQueryClient } from '@tanstack/preact-query';
import { graft } from './graft.ts';

export const sessionKey = ['session'];

/** Of an operator, whose last proof of who they are is too old. */
export const asksToSignIn = (error: unknown): boolean =>
  error instanceof GraftApiError && error.code === 'reauthentication_required';

/** How one may sign in here, and who is signed in; `me` null: nobody. */
export function useSession() {
  return useQuery({
    queryKey: sessionKey,
    queryFn: async () => {
      const options = await graft.sessions.options();
      return { options, me: options.signed_in ? await graft.me() : null };
    },
    staleTime: 60_000,
  });
}

/** Each may what those before it may. */
const roles: readonly Role[] = ['viewer', 'member', 'admin'];

/** Of a page within the shell, which is shown only to somebody who is signed in. */
export function useMe(): Me {
  return useSession().data!.me!;
}

/** What is about all models of the team at once: a key that is limited to some is refused there. */
const aboutAllModels = ['usage:read', 'audit:read', 'webhooks:read', 'webhooks:write', 'integrations:write'];

/**
 * Whether who is signed in may do what takes this scope and at least this role: what they may not is not offered. The API holds
 * it; this only spares a refusal.
 */
export function useMay(scope: string, least: Role = scope.endsWith(':read') ? 'viewer' : 'member'): boolean {
  const { role, scopes, models } = useMe();
  const fits = role !== null && roles.indexOf(role) >= roles.indexOf(least);
  if (models !== null && aboutAllModels.includes(scope)) return false;
  return fits && (scopes === null || scopes.includes(scope));
}

/** Forgets all that was read and is of another session, and asks who is signed in now. */
export function useNewSession() {
  const cache = useQueryClient();
  return async () => {
    // Pages keep things in the browser for whoever is signed in.
    localStorage.clear();
    cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] });
    await cache.invalidateQueries({ queryKey: sessionKey });
  };
}

export function useEndSession() {
  const toNewSession = useNewSession();
  return async () => {
    const { end_session_url: url } = await graft.sessions.signOut();
    if (url === null) return await toNewSession();
    localStorage.clear();
    location.assign(url);
  };
}
