import type { Me, Role } from '@graft/client';
import { type QueryClient, useQuery, useQueryClient } from '@tanstack/preact-query';
import { graft, refusedEvent } from './graft.ts';
import { keepOnlyOf } from './kept.ts';

export const sessionKey = ['session'];

/** How one may sign in here, and who is signed in; `me` null: nobody. */
export function useSession() {
  return useQuery({
    queryKey: sessionKey,
    queryFn: async () => {
      const options = await graft.sessions.options();
      const me = options.signed_in ? await graft.me() : null;
      noteSession(me?.session ?? null);
      return { options, me };
    },
    staleTime: 60_000,
  });
}

/** Tells the other tabs of a session that ended or began. */
const tabs = new BroadcastChannel('graft.session');
let known: string | null | undefined;
let ending: number | undefined;
/** The longest pause that a browser's timer takes, in milliseconds. */
const longestPause = 2 ** 31 - 1;
let onEnd = () => {};

/** Of whom this tab is from now on. What another session has kept in this browser goes, prompts among it. */
function noteSession(session: Me['session']): void {
  const id = session?.id ?? null;
  keepOnlyOf(id);
  if (known !== undefined && known !== id) tabs.postMessage(id);
  known = id;
  clearTimeout(ending);
  if (!session) return;
  const left = session.expires_at * 1000 - Date.now() + 1_000;
  ending = window.setTimeout(() => onEnd(), Math.min(Math.max(left, 1_000), longestPause));
}

/**
 * Shows no page, and asks anew who is signed in, when the session's time is over, another tab has another one, or the browser shows
 * a page from before it was left. Pages hold prompts in memory: these go with them.
 */
export function watchSession(cache: QueryClient): void {
  onEnd = () => {
    cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] });
    void cache.resetQueries({ queryKey: sessionKey });
  };
  addEventListener(refusedEvent, () => void cache.invalidateQueries({ queryKey: sessionKey }));
  tabs.addEventListener('message', ({ data }) => {
    if (data !== known) onEnd();
  });
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) onEnd();
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
    cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] });
    await cache.invalidateQueries({ queryKey: sessionKey });
  };
}

export function useEndSession() {
  const toNewSession = useNewSession();
  return async () => {
    const { end_session_url: url } = await graft.sessions.signOut();
    noteSession(null);
    if (url === null) return await toNewSession();
    location.assign(url);
  };
}
