import type { Me, Role } from '@graft/client';
import { roles, type Scope, teamWideScopes } from '@graft/wire/lists';
import { type QueryClient, useQuery, useQueryClient } from '@tanstack/preact-query';
import { clearOtherSessions } from './browser-storage.ts';
import { graft, sessionEndedEvent } from './graft.ts';

export const sessionKey = ['session'];

/** The sign-in methods, and the signed-in user as `me`; null: signed out. */
export function useSession() {
  return useQuery({
    queryKey: sessionKey,
    queryFn: async () => {
      const options = await graft.sessions.options();
      const me = options.signed_in ? await graft.me() : null;
      setTabSession(me?.session ?? null);
      return { options, me };
    },
    staleTime: 60_000,
  });
}

/** Notifies the other tabs when a session starts or ends. */
const tabs = new BroadcastChannel('graft.session');
let tabSession: string | null | undefined;
let endTimer: number | undefined;
/** Maximum delay of a browser timer, in milliseconds. */
const maxDelayMs = 2 ** 31 - 1;
let onEnd = () => {};

/** Sets the session of this tab, and removes what other sessions stored in this browser, such as prompts. */
function setTabSession(session: Me['session']): void {
  const id = session?.id ?? null;
  clearOtherSessions(id);
  if (tabSession !== undefined && tabSession !== id) tabs.postMessage(id);
  tabSession = id;
  clearTimeout(endTimer);
  if (!session) return;
  const remainingMs = session.expires_at * 1000 - Date.now() + 1_000;
  endTimer = window.setTimeout(() => onEnd(), Math.min(Math.max(remainingMs, 1_000), maxDelayMs));
}

/**
 * Unmounts the page and reads the session again when the session expires, when another tab changes it, and when the browser restores
 * a page from its cache. Pages hold prompts in memory, which are dropped with them.
 */
export function watchSession(cache: QueryClient): void {
  onEnd = () => {
    dropSessionData(cache);
    void cache.resetQueries({ queryKey: sessionKey });
  };
  addEventListener(sessionEndedEvent, () => void cache.invalidateQueries({ queryKey: sessionKey }));
  tabs.addEventListener('message', ({ data }) => {
    if (data !== tabSession) onEnd();
  });
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) onEnd();
  });
}

/** The signed-in user. Only for pages inside the shell, which requires a session. */
export function useMe(): Me {
  return useSession().data!.me!;
}

/**
 * True where the user has a scope and at least a role, to hide actions that the API would refuse. The API enforces permissions; this hook
 * does not.
 */
export function usePermission(
  scope: Scope,
  minRole: Role = scope.endsWith(':read') ? 'viewer' : 'member',
): boolean {
  const { role, scopes, models } = useMe();
  const hasRole = role !== null && roles.indexOf(role) >= roles.indexOf(minRole);
  if (models !== null && teamWideScopes.includes(scope)) return false;
  return hasRole && (scopes === null || scopes.includes(scope));
}

const dropSessionData = (cache: QueryClient) =>
  cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] });

/** Drops the cached data of the previous session, and reads the new one. */
export function useSessionReset() {
  const cache = useQueryClient();
  return async () => {
    dropSessionData(cache);
    await cache.invalidateQueries({ queryKey: sessionKey });
  };
}

export function useSignOut() {
  const resetSession = useSessionReset();
  return async () => {
    const { end_session_url: url } = await graft.sessions.signOut();
    setTabSession(null);
    if (url === null) return await resetSession();
    location.assign(url);
  };
}
