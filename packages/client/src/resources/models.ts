import type { Transport } from '../transport.ts';
import type { Deleted, Model } from '../wire-objects.ts';

export class Models {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Base models and the team's fine-tuned ones; the API sends them all at once. */
  async list(): Promise<Model[]> {
    const list = await this.#transport.json<{ data: Model[] }>({ method: 'GET', path: '/models' });
    return list.data;
  }

  retrieve(id: string): Promise<Model> {
    return this.#transport.json({ method: 'GET', path: `/models/${encodeURIComponent(id)}` });
  }

  delete(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: `/models/${encodeURIComponent(id)}` });
  }
}
