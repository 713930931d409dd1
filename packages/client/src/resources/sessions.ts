import { PageList } from '../page-list.ts';
import type { SessionObject } from '../team-objects.ts';
import type { Transport } from '../transport.ts';
import type { Deleted } from '../wire-objects.ts';

/** The sessions of browsers that are the caller's: of a key those that it was exchanged for. */
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
}
