import { PageList } from '../page-list.ts';
import type { Transport } from '../transport.ts';
import type { Deleted, Model } from '../types.ts';

export class Models {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists base models, then the team's fine-tuned models, newest first; fetches all pages. */
  async list(): Promise<Model[]> {
    return await new PageList<Model>(this.#transport, '/models', {}).toArray();
  }

  retrieve(id: string): Promise<Model> {
    return this.#transport.json({ method: 'GET', path: `/models/${encodeURIComponent(id)}` });
  }

  delete(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: `/models/${encodeURIComponent(id)}` });
  }
}
