import type { Queries } from '@graft/wire/types';
import { multipartUpload, type UploadProgress, type UploadSource } from '../multipart-upload.ts';
import { PageList } from '../page-list.ts';
import { requireNodeModule } from '../platform.ts';
import type { Transport } from '../transport.ts';
import type {
  Adapter,
  AdapterComparison,
  AdapterLineage,
  AdapterTag,
  AdapterVersion,
  CombineAdapters,
  DeletedAdapter,
  DeletedAdapterTag,
  DeletedAdapterVersion,
  Model,
  MovedAdapterTag,
} from '../types.ts';
import { chunksOf, pathSource } from '../upload-sources.ts';
import { AdapterDownload, type DownloadOptions } from './adapters/download.ts';
import { AdapterExports } from './adapters/exports.ts';
import { AdapterPublications } from './adapters/publications.ts';

export interface UploadAdapterParams {
  /** Id of the base model on which it was trained. */
  baseModel: string;
  /** Uploads and jobs with the same name create versions of one adapter. */
  name: string;
  /** A folder saved by HF PEFT (Node), or its files by name; both are streamed. */
  files: string | Record<string, Blob>;
  /** Name of the model from which the training continued. */
  parent?: string | undefined;
  note?: string | undefined;
  onProgress?: UploadProgress;
  signal?: AbortSignal;
}

export class Adapters {
  readonly #transport: Transport;
  readonly versions: AdapterVersions;
  readonly tags: AdapterTags;
  readonly exports: AdapterExports;
  readonly publications: AdapterPublications;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.versions = new AdapterVersions(transport);
    this.tags = new AdapterTags(transport);
    this.exports = new AdapterExports(transport);
    this.publications = new AdapterPublications(transport);
  }

  list(params: Queries['GET /v1/adapters'] = {}): PageList<Adapter> {
    return new PageList(this.#transport, '/adapters', { ...params });
  }

  retrieve(id: string): Promise<Adapter> {
    return this.#transport.json({ method: 'GET', path: adapterPath(id) });
  }

  /**
   * Publishes an adapter that was trained elsewhere. Of a folder, sends only adapter_config.json, adapter_model.safetensors and README.md.
   */
  async upload(params: UploadAdapterParams): Promise<AdapterVersion> {
    const { baseModel: base_model, name, parent, note, files, onProgress, signal } = params;
    const fields = {
      base_model,
      name,
      ...(parent === undefined ? {} : { parent }),
      ...(note === undefined ? {} : { note }),
    };
    const sources = typeof files === 'string' ? await folderSources(files) : blobSources(files);
    const body = multipartUpload(fields, sources, onProgress);
    // Not retried after sending: a duplicate version would be harmless but unwanted.
    return this.#transport.json({ method: 'POST', path: '/adapters', body, maxRetries: 0, signal });
  }

  /** Creates a version of the adapter `name` from weighted versions of one base model, without training. */
  combine(params: CombineAdapters): Promise<AdapterVersion> {
    // Not retried after sending: a duplicate version would be harmless but unwanted.
    return this.#transport.json({ method: 'POST', path: '/adapters/combine', json: params, maxRetries: 0 });
  }

  /** Returns the version behind a fine-tuned model's name (`ft:…`) or a tag; null for a base model and for a checkpoint. */
  async retrieveVersionOf(model: string): Promise<AdapterVersion | null> {
    const path = `/models/${encodeURIComponent(model)}`;
    const { adapter } = await this.#transport.json<Model>({ method: 'GET', path });
    return adapter === null ? null : this.versions.retrieve(adapter.id, adapter.version);
  }

  /** Returns the differences between the versions behind two names. */
  compare(a: string, b: string): Promise<AdapterComparison> {
    return this.#transport.json({ method: 'GET', path: '/adapters/compare', query: { a, b } });
  }

  /** Writes the note of an adapter; null removes it. */
  setNote(id: string, note: string | null): Promise<Adapter> {
    return this.#transport.json({ method: 'POST', path: `${adapterPath(id)}/note`, json: { note } });
  }

  /** Deletes all versions of an adapter. They can be restored for some days. */
  delete(id: string): Promise<DeletedAdapter> {
    return this.#transport.json({ method: 'DELETE', path: adapterPath(id) });
  }

  /** Lists the deleted versions that can be restored, the newest deletion first. */
  listDeleted(params: { limit?: number; after?: string } = {}): PageList<DeletedAdapterVersion> {
    return new PageList(this.#transport, '/adapters/deleted', params);
  }

  /** Downloads a tar of the version's files, in the format of Hugging Face PEFT. */
  download(id: string, version: number, options: DownloadOptions = {}): AdapterDownload {
    return new AdapterDownload(this.#transport, `${versionPath(id, version)}/download`, options);
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
    return this.#transport.json({ method: 'GET', path: versionPath(id, version) });
  }

  /** Returns the ancestors and descendants of a version. */
  lineage(id: string, version: number): Promise<AdapterLineage> {
    return this.#transport.json({ method: 'GET', path: `${versionPath(id, version)}/lineage` });
  }

  /** Writes the note of a version; null removes it. */
  setNote(id: string, version: number, note: string | null): Promise<AdapterVersion> {
    return this.#transport.json({ method: 'POST', path: `${versionPath(id, version)}/note`, json: { note } });
  }

  /** Deletes a version. It can be restored for some days. */
  delete(id: string, version: number): Promise<DeletedAdapter> {
    return this.#transport.json({ method: 'DELETE', path: versionPath(id, version) });
  }

  restore(id: string, version: number): Promise<AdapterVersion> {
    return this.#transport.json({ method: 'POST', path: `${versionPath(id, version)}/restore` });
  }
}

class AdapterTags {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists all tags of an adapter by name. */
  list(id: string): PageList<AdapterTag> {
    return new PageList(this.#transport, `${adapterPath(id)}/tags`, {});
  }

  /**
   * Creates or moves a tag. With `expected`, only if the tag points at that version, or with null, only if it does not exist; otherwise
   * throws `adapter_tag_moved`.
   */
  move(
    id: string,
    tag: string,
    version: number,
    options: { expected?: number | null | undefined } = {},
  ): Promise<MovedAdapterTag> {
    const { expected } = options;
    const json = { tag, version, ...(expected === undefined ? {} : { expected_version: expected }) };
    return this.#transport.json({ method: 'POST', path: `${adapterPath(id)}/tags`, json });
  }

  remove(id: string, tag: string): Promise<DeletedAdapterTag> {
    const path = `${adapterPath(id)}/tags/${encodeURIComponent(tag)}`;
    return this.#transport.json({ method: 'DELETE', path });
  }
}

const adapterPath = (id: string): string => `/adapters/${encodeURIComponent(id)}`;
const versionPath = (id: string, version: number): string => `${adapterPath(id)}/versions/${version}`;

/** The files of an adapter that are sent; the last is optional. */
const fileNames = ['adapter_config.json', 'adapter_model.safetensors', 'README.md'];

async function folderSources(folder: string): Promise<UploadSource[]> {
  const { readdir } = requireNodeModule('node:fs', 'Uploading from a folder').promises;
  const { join } = requireNodeModule('node:path', 'Uploading from a folder');
  const present = new Set(await readdir(folder));
  const sources: UploadSource[] = [];
  for (const name of fileNames)
    if (present.has(name)) sources.push(await pathSource(join(folder, name), name));
  return sources;
}

function blobSources(files: Record<string, Blob>): UploadSource[] {
  return Object.entries(files).map(([filename, blob]) => ({
    filename,
    bytes: blob.size,
    open: () => chunksOf(blob),
  }));
}
