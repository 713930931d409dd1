import type { JoinedTeam, SignedOut, SignInOptions } from '../generated/wire.ts';
import { PageList } from '../page-list.ts';
import type { Me, SessionObject } from '../team-objects.ts';
import type { Transport } from '../transport.ts';
import type { Deleted } from '../wire-objects.ts';

/**
 * The sessions of browsers that are the caller's: of a key those that it was exchanged for. What begins and ends one is for
 * pages of the server, which the browser keeps the cookie of, with a client that has no key (`apiKey: null`).
 */
export class Sessions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Newest first, those that have not ended. */
  list(params: { limit?: number; after?: string } = {}): PageList<SessionObject> {
    return new PageList(this.#transport, '/me/sessions', params);
  }

  /** At once, everywhere. */
  end(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: `/me/sessions/${encodeURIComponent(id)}` });
  }

  /** All of them. */
  endAll(): Promise<{ object: 'sessions.ended'; count: number }> {
    return this.#transport.json({ method: 'DELETE', path: '/me/sessions' });
  }

  /** How one can sign in here, and whether this browser is. */
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

  /** The session works in another team of its person from now on. */
  chooseTeam(team: string): Promise<Me> {
    return this.#transport.json({ method: 'POST', path: '/me/team', json: { team } });
  }

  /** The person who is signed in becomes a member of the team whose invitation has this token. */
  acceptInvitation(token: string): Promise<JoinedTeam> {
    return this.#transport.json({ method: 'POST', path: '/me/invitations', json: { token } });
  }
}
