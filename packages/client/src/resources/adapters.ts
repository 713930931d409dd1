import type * as Wire from '@graft/wire/types';
import { AdapterDownload, type DownloadOptions } from '../adapter-download.ts';
import { multipartUpload, type UploadProgress, type UploadSource } from '../multipart-upload.ts';
import { dataOf, json, Operations, request, takes } from '../operations.ts';
import { requireNodeModule } from '../platform.ts';
import { pause } from '../retry.ts';
import { chunksOf, pathSource } from '../upload-sources.ts';

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

export class Adapters extends Operations {
  readonly list = this.pages('GET /v1/adapters', json<Wire.Adapter>);
  readonly retrieve = this.call('GET /v1/adapters/{adapter_id}', json<Wire.Adapter>);
  /**
   * Creates a version of the adapter `name` from weighted versions of one base model, without training. Not retried: a retry could create a
   * second version.
   */
  readonly combine = this.once(
    'POST /v1/adapters/combine',
    json<Wire.AdapterVersion>,
    takes<Wire.CombineAdapters>,
  );
  /** Returns the differences between the versions behind two names. */
  readonly compare = this.call(
    'GET /v1/adapters/compare',
    json<Wire.AdapterComparison>,
    (a: string, b: string) => ({ a, b }),
  );
  /** Writes the note of an adapter; null removes it. */
  readonly setNote = this.call('POST /v1/adapters/{adapter_id}/note', json<Wire.Adapter>, noteBody);
  /** Deletes all versions of an adapter. They can be restored for some days. */
  readonly delete = this.call('DELETE /v1/adapters/{adapter_id}', json<Wire.DeletedAdapter>);
  /** Lists the deleted versions that can be restored, the newest deletion first. */
  readonly listDeleted = this.pages('GET /v1/adapters/deleted', json<Wire.DeletedAdapterVersion>);
  /** Downloads a tar of the version's files, in the format of Hugging Face PEFT. */
  readonly download = this.archive('GET /v1/adapters/{adapter_id}/versions/{version}/download');

  readonly versions = {
    list: this.pages('GET /v1/adapters/{adapter_id}/versions', json<Wire.AdapterVersion>),
    retrieve: this.call('GET /v1/adapters/{adapter_id}/versions/{version}', json<Wire.AdapterVersion>),
    /** Returns the ancestors and descendants of a version. */
    lineage: this.call('GET /v1/adapters/{adapter_id}/versions/{version}/lineage', json<Wire.AdapterLineage>),
    /** Writes the note of a version; null removes it. */
    setNote: this.call(
      'POST /v1/adapters/{adapter_id}/versions/{version}/note',
      json<Wire.AdapterVersion>,
      noteBody,
    ),
    /** Deletes a version. It can be restored for some days. */
    delete: this.call('DELETE /v1/adapters/{adapter_id}/versions/{version}', json<Wire.DeletedAdapter>),
    restore: this.call(
      'POST /v1/adapters/{adapter_id}/versions/{version}/restore',
      json<Wire.AdapterVersion>,
    ),
  };

  readonly tags = {
    /** Lists all tags of an adapter by name. */
    list: this.pages('GET /v1/adapters/{adapter_id}/tags', json<Wire.AdapterTag>),
    /**
     * Creates or moves a tag. With `expected`, only if the tag points at that version, or with null, only if it does not exist; otherwise
     * throws `adapter_tag_moved`.
     */
    move: this.call(
      'POST /v1/adapters/{adapter_id}/tags',
      json<Wire.MovedAdapterTag>,
      (
        tag: string,
        version: number,
        options?: { expected?: number | null | undefined },
      ): Wire.MoveAdapterTag => ({
        tag,
        version,
        ...(options?.expected === undefined ? {} : { expected_version: options.expected }),
      }),
    ),
    remove: this.call('DELETE /v1/adapters/{adapter_id}/tags/{tag}', json<Wire.DeletedAdapterTag>),
  };

  readonly #retrieveExport = this.call(
    'GET /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}',
    json<Wire.AdapterExport>,
  );
  /** Exports of adapter versions in the formats of other programs. `id` is the adapter's. */
  readonly exports = {
    /** Lists every format, with the reason if this version cannot be exported in it. */
    formats: this.call(
      'GET /v1/adapters/{adapter_id}/versions/{version}/exports/formats',
      dataOf<Wire.AdapterExportFormatList['data'][number]>,
    ),
    /** Creates an export, or returns the one that the version has with the same format and options. */
    create: this.call(
      'POST /v1/adapters/{adapter_id}/versions/{version}/exports',
      json<Wire.AdapterExport>,
      takes<Wire.CreateAdapterExport>,
    ),
    list: this.pages('GET /v1/adapters/{adapter_id}/versions/{version}/exports', json<Wire.AdapterExport>),
    retrieve: this.#retrieveExport,
    /** Polls until the export has ended, and returns it. `onChange` gets each state, also that of the last poll. */
    wait: waiting(this.#retrieveExport),
    /** Keeps an export, or lets it expire after the usual time from now. */
    keep: this.call(
      'POST /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}',
      json<Wire.AdapterExport>,
      (keep: boolean): Wire.ChangeAdapterExport => ({ keep }),
    ),
    cancel: this.call(
      'POST /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}/cancel',
      json<Wire.AdapterExport>,
    ),
    /** Removes an export with its files. */
    delete: this.call(
      'DELETE /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}',
      json<Wire.DeletedAdapterExport>,
    ),
    /** Downloads a tar of all files, or with `file`, its path, one of them. */
    download: (
      id: string,
      version: number,
      exportId: string,
      { file, ...options }: DownloadOptions & { file?: string } = {},
    ): AdapterDownload => {
      const { path } = request(
        'GET /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}/download',
        id,
        version,
        exportId,
      );
      const query = file === undefined ? '' : `?path=${encodeURIComponent(file)}`;
      return new AdapterDownload(this.transport, path + query, options);
    },
  };

  readonly #retrievePublication = this.call(
    'GET /v1/adapters/{adapter_id}/versions/{version}/publications/{publication_id}',
    json<Wire.AdapterPublication>,
  );
  /** Versions and exports that the service publishes on the Hugging Face Hub. `id` is the adapter's. */
  readonly publications = {
    /** Publishes an export, or without `export_id` the version's own files. Returns an existing publication to the same repository. */
    create: this.call(
      'POST /v1/adapters/{adapter_id}/versions/{version}/publications',
      json<Wire.AdapterPublication>,
      takes<Wire.CreateAdapterPublication>,
    ),
    list: this.pages(
      'GET /v1/adapters/{adapter_id}/versions/{version}/publications',
      json<Wire.AdapterPublication>,
    ),
    retrieve: this.#retrievePublication,
    /** Polls until the publication has succeeded or failed, and returns it. `onChange` gets each state, also that of the last poll. */
    wait: waiting(this.#retrievePublication),
    /** Removes the record, and interrupts a publication that is not complete. Files on the Hub remain. */
    delete: this.call(
      'DELETE /v1/adapters/{adapter_id}/versions/{version}/publications/{publication_id}',
      json<Wire.DeletedAdapterPublication>,
    ),
  };

  /**
   * Uploads an adapter that was trained elsewhere. From a folder, sends only adapter_config.json, adapter_model.safetensors and README.md.
   */
  async upload(params: UploadAdapterParams): Promise<Wire.AdapterVersion> {
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
    return this.transport.json({ ...request('POST /v1/adapters'), body, maxRetries: 0, signal });
  }

  /** Returns the version behind a fine-tuned model's name (`ft:…`) or a tag; null for a base model and for a checkpoint. */
  async retrieveVersionOf(model: string): Promise<Wire.AdapterVersion | null> {
    const { adapter } = await this.transport.json<Wire.Model>(request('GET /v1/models/{model}', model));
    return adapter === null ? null : this.versions.retrieve(adapter.id, adapter.version);
  }
}

const noteBody = (note: string | null): Wire.SetAdapterNote => ({ note });

/** Polls an export or a publication, by the ids with which it is retrieved, until it has ended. */
const waiting =
  <T extends { status: string }>(retrieve: (id: string, version: number, objectId: string) => Promise<T>) =>
  async (
    id: string,
    version: number,
    objectId: string,
    options: { pollMs?: number; onChange?: (state: T) => void; signal?: AbortSignal } = {},
  ): Promise<T> => {
    const { pollMs = 1000, onChange, signal } = options;
    for (;;) {
      const state = await retrieve(id, version, objectId);
      onChange?.(state);
      if (state.status !== 'queued' && state.status !== 'running') return state;
      await pause(pollMs, signal);
    }
  };

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
