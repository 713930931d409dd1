import { PageList } from '../page-list.ts';
import type { Transport } from '../transport.ts';
import type { Adapter, AdapterVersion, Model } from '../wire-objects.ts';
import { AdapterDownload, type DownloadOptions } from './adapter-download.ts';

export class Adapters {
  readonly #transport: Transport;
  readonly versions: AdapterVersions;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.versions = new AdapterVersions(transport);
  }

  list(params: { limit?: number; after?: string } = {}): PageList<Adapter> {
    return new PageList(this.#transport, '/adapters', params);
  }

  retrieve(id: string): Promise<Adapter> {
    return this.#transport.json({ method: 'GET', path: adapterPath(id) });
  }

  /** The version behind a fine-tuned model's name (`ft:…`); null for a base model. */
  async retrieveVersionOf(model: string): Promise<AdapterVersion | null> {
    const path = `/models/${encodeURIComponent(model)}`;
    const { adapter } = await this.#transport.json<Model>({ method: 'GET', path });
    return adapter === null ? null : this.versions.retrieve(adapter.id, adapter.version);
  }

  /** A tar of the version's files, as Hugging Face PEFT reads them. */
  download(id: string, version: number, options: DownloadOptions = {}): AdapterDownload {
    return new AdapterDownload(this.#transport, `${adapterPath(id)}/versions/${version}/download`, options);
  }
}

class AdapterVersions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(id: string, params: { limit?: number; after?: string } = {}): PageList<AdapterVersion> {
    return new PageList(this.#transport, `${adapterPath(id)}/versions`, params);
  }

  retrieve(id: string, version: number): Promise<AdapterVersion> {
    return this.#transport.json({ method: 'GET', path: `${adapterPath(id)}/versions/${version}` });
  }
}

const adapterPath = (id: string): string => `/adapters/${encodeURIComponent(id)}`;
