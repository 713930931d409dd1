import { PageList } from '../../page-list.ts';
import { pause } from '../../retry.ts';
import type { Transport } from '../../transport.ts';
import type {
  AdapterExport,
  AdapterExportFormat,
  AdapterExportFormatList,
  CreateAdapterExport,
  DeletedAdapterExport,
} from '../../types.ts';
import { AdapterDownload, type DownloadOptions } from './download.ts';

/** Exports of adapter versions in the formats of other programs. `id` is the adapter's. */
export class AdapterExports {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists every format, with the reason if this version cannot be exported in it. */
  async formats(id: string, version: number): Promise<AdapterExportFormat[]> {
    const path = `${exportsPath(id, version)}/formats`;
    return (await this.#transport.json<AdapterExportFormatList>({ method: 'GET', path })).data;
  }

  /** Creates an export, or returns the one that the version has with the same format and options. */
  create(id: string, version: number, params: CreateAdapterExport): Promise<AdapterExport> {
    return this.#transport.json({ method: 'POST', path: exportsPath(id, version), json: params });
  }

  list(
    id: string,
    version: number,
    params: { limit?: number; after?: string } = {},
  ): PageList<AdapterExport> {
    return new PageList(this.#transport, exportsPath(id, version), params);
  }

  retrieve(id: string, version: number, exportId: string): Promise<AdapterExport> {
    return this.#transport.json({ method: 'GET', path: exportPath(id, version, exportId) });
  }

  /** Polls until the export has ended, and returns it. `onChange` gets each state, also that of the last poll. */
  async wait(
    id: string,
    version: number,
    exportId: string,
    options: { pollMs?: number; onChange?: (made: AdapterExport) => void; signal?: AbortSignal } = {},
  ): Promise<AdapterExport> {
    const { pollMs = 1000, onChange, signal } = options;
    for (;;) {
      const made = await this.retrieve(id, version, exportId);
      onChange?.(made);
      if (made.status !== 'queued' && made.status !== 'running') return made;
      await pause(pollMs, signal);
    }
  }

  /** Keeps an export, or lets it expire after the usual time from now. */
  keep(id: string, version: number, exportId: string, keep: boolean): Promise<AdapterExport> {
    return this.#transport.json({ method: 'POST', path: exportPath(id, version, exportId), json: { keep } });
  }

  cancel(id: string, version: number, exportId: string): Promise<AdapterExport> {
    return this.#transport.json({ method: 'POST', path: `${exportPath(id, version, exportId)}/cancel` });
  }

  /** Removes an export with its files. */
  delete(id: string, version: number, exportId: string): Promise<DeletedAdapterExport> {
    return this.#transport.json({ method: 'DELETE', path: exportPath(id, version, exportId) });
  }

  /** Downloads a tar of all files, or with `file`, its path, one of them. */
  download(
    id: string,
    version: number,
    exportId: string,
    { file, ...options }: DownloadOptions & { file?: string } = {},
  ): AdapterDownload {
    const path = `${exportPath(id, version, exportId)}/download`;
    const query = file === undefined ? '' : `?path=${encodeURIComponent(file)}`;
    return new AdapterDownload(this.#transport, path + query, options);
  }
}

const exportsPath = (id: string, version: number): string =>
  `/adapters/${encodeURIComponent(id)}/versions/${version}/exports`;
const exportPath = (id: string, version: number, exportId: string): string =>
  `${exportsPath(id, version)}/${encodeURIComponent(exportId)}`;
