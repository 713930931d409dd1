import type { JoinedTeam, SignedOut, SignInOptions } from '@graft/wire/types';
import { PageList } from '../page-list.ts';
import type { Transport } from '../transport.ts';
import type { Deleted, Me, SessionObject } from '../types.ts';

/**
 * Browser sessions of the caller: of a key, the sessions for which it was exchanged. `begin` and `signOut` are for pages of the server,
 * whose browser keeps the cookie, with a client without a key (`apiKey: null`).
 */
export class Sessions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists the active sessions, newest first. */
  list(params: { limit?: number; after?: string } = {}): PageList<SessionObject> {
    return new PageList(this.#transport, '/me/sessions', params);
  }

  /** Ends a session at once on all servers. */
  end(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: `/me/sessions/${encodeURIComponent(id)}` });
  }

  /** Ends all sessions of the caller. */
  endAll(): Promise<{ object: 'sessions.ended'; count: number }> {
    return this.#transport.json({ method: 'DELETE', path: '/me/sessions' });
  }

  /** Returns the available ways to sign in, and whether this browser is signed in. */
  options(): Promise<SignInOptions> {
    return this.#transport.json({ method: 'GET', path: '/sign-in/options' });
  }

  /** Exchanges a key for a session of this browser. */
  begin(key: string): Promise<SessionObject> {
    return this.#transport.json({ method: 'POST', path: '/sign-in/key', json: { key } });
  }

  /** Ends the session of this browser. */
  signOut(): Promise<SignedOut> {
    return this.#transport.json({ method: 'POST', path: '/sign-out' });
  }

  /** Switches the session to another team of the person. */
  chooseTeam(team: string): Promise<Me> {
    return this.#transport.json({ method: 'POST', path: '/me/team', json: { team } });
  }

  /** Adds the signed-in person to the team whose invitation has this token. */
  acceptInvitation(token: string): Promise<JoinedTeam> {
    return this.#transport.json({ method: 'POST', path: '/me/invitations', json: { token } });
  }
}
