import { PageList } from '../../page-list.ts';
import { pause } from '../../retry.ts';
import type { Transport } from '../../transport.ts';
import type { AdapterPublication, CreateAdapterPublication, DeletedAdapterPublication } from '../../types.ts';

/** Versions and exports that the service publishes on the Hugging Face Hub. `id` is the adapter's. */
export class AdapterPublications {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Publishes an export, or without `export_id` the version's own files. Returns the publication that there is to this repository already. */
  create(id: string, version: number, params: CreateAdapterPublication): Promise<AdapterPublication> {
    return this.#transport.json({ method: 'POST', path: publicationsPath(id, version), json: params });
  }

  list(
    id: string,
    version: number,
    params: { limit?: number; after?: string } = {},
  ): PageList<AdapterPublication> {
    return new PageList(this.#transport, publicationsPath(id, version), params);
  }

  retrieve(id: string, version: number, publicationId: string): Promise<AdapterPublication> {
    return this.#transport.json({ method: 'GET', path: publicationPath(id, version, publicationId) });
  }

  /** Polls until the publication has succeeded or failed, and returns it. `onChange` gets each state, also that of the last poll. */
  async wait(
    id: string,
    version: number,
    publicationId: string,
    options: {
      pollMs?: number;
      onChange?: (publication: AdapterPublication) => void;
      signal?: AbortSignal;
    } = {},
  ): Promise<AdapterPublication> {
    const { pollMs = 1000, onChange, signal } = options;
    for (;;) {
      const publication = await this.retrieve(id, version, publicationId);
      onChange?.(publication);
      if (publication.status !== 'queued' && publication.status !== 'running') return publication;
      await pause(pollMs, signal);
    }
  }

  /** Removes the record, and interrupts a publication that is not complete. Files on the Hub remain. */
  delete(id: string, version: number, publicationId: string): Promise<DeletedAdapterPublication> {
    return this.#transport.json({ method: 'DELETE', path: publicationPath(id, version, publicationId) });
  }
}

const publicationsPath = (id: string, version: number): string =>
  `/adapters/${encodeURIComponent(id)}/versions/${version}/publications`;
const publicationPath = (id: string, version: number, publicationId: string): string =>
  `${publicationsPath(id, version)}/${encodeURIComponent(publicationId)}`;
