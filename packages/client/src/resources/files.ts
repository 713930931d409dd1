import type * as Wire from '@graft/wire/types';
import { multipartUpload, type UploadProgress } from '../multipart-upload.ts';
import { json, Operations, request } from '../operations.ts';
import { pause } from '../retry.ts';
import type { OpenResponse, RepeatableBody } from '../transport.ts';
import { blobForm, chunksOf, pathSource } from '../upload-sources.ts';

export interface UploadParams {
  /** A path (Node) or a Blob or File; both are streamed. */
  file: string | Blob;
  /** Required for a Blob without a name. */
  filename?: string;
  purpose?: string;
  /** Which column of the file each field is in: `{"prompt": "question"}`. Default: as recognised. */
  columns?: Record<string, string> | undefined;
  /** `skip` accepts a file with invalid lines, for jobs that leave them out. Default `fail`: they are refused. */
  onBadLines?: 'fail' | 'skip' | undefined;
  /** Not called in browsers, which do not report upload progress. */
  onProgress?: UploadProgress;
  signal?: AbortSignal;
}

export interface ImportParams {
  /** A split of a public data set of the Hugging Face Hub: `hf://datasets/organisation/name?split=train`. */
  source: string;
  purpose?: string;
  /** Which column of the file each field is in: `{"prompt": "question"}`. Default: as recognised. */
  columns?: Record<string, string> | undefined;
  /** Rule for a file with bad lines: `fail` refuses it, `skip` accepts it if it has examples. Default `fail`. */
  onBadLines?: 'fail' | 'skip' | undefined;
  /** Aborting it ends the download; nothing is stored. */
  signal?: AbortSignal;
}

export interface ReportOptions {
  /** Base model whose tokenizer counts the tokens. */
  model?: string;
  maxSeqLength?: number;
  /** Which column of the file each field is in. Default: as given with the upload, or as recognised. */
  columns?: Record<string, string>;
  /** The planned job, as its file is then read; the three options above are then those of the job. */
  job?: Wire.EstimateFineTuningJob;
  signal?: AbortSignal;
}

export class Files extends Operations {
  readonly list = this.pages('GET /v1/files', json<Wire.File>);
  readonly retrieve = this.call('GET /v1/files/{file_id}', json<Wire.File>);
  readonly delete = this.call('DELETE /v1/files/{file_id}', json<Wire.DeletedFile>);

  async upload(params: UploadParams): Promise<Wire.File> {
    const { purpose = 'fine-tune', columns, onBadLines } = params;
    const fields: Record<string, string> = { purpose };
    if (columns) fields.columns = JSON.stringify(columns);
    if (onBadLines) fields.on_bad_lines = onBadLines;
    const body =
      typeof params.file === 'string'
        ? multipartUpload(fields, await pathSource(params.file, params.filename), params.onProgress)
        : blobUpload(fields, params.file, params);
    return this.transport.json({
      ...request('POST /v1/files'),
      body,
      idempotent: true,
      signal: params.signal,
    });
  }

  /**
   * Lets the server fetch a data set of the Hub, where its operator allows it. Resolves when the file is stored. Node and browsers wait five
   * minutes for a response; a client that hangs up ends the download.
   */
  import({ source, purpose = 'fine-tune', columns, onBadLines, signal }: ImportParams): Promise<Wire.File> {
    return this.transport.json({
      ...request('POST /v1/files/import'),
      json: { purpose, source, ...(columns && { columns }), ...(onBadLines && { on_bad_lines: onBadLines }) },
      // A retry would fetch the data set again, and store it twice if only the response was lost.
      maxRetries: 0,
      signal,
    });
  }

  /** Returns the current report; the first request starts its computation. */
  report(id: string, options: ReportOptions = {}): Promise<Wire.FileReport> {
    const { model, maxSeqLength, columns, job, signal } = options;
    if (job)
      return this.transport.json({ ...request('POST /v1/files/{file_id}/report', id), json: job, signal });
    return this.transport.json({
      ...request('GET /v1/files/{file_id}/report', id),
      query: { model, max_seq_length: maxSeqLength, columns: columns && JSON.stringify(columns) },
      signal,
    });
  }

  /** Returns the report once it is ready or failed. `onProgress` is called while it is running. */
  async waitForReport(
    id: string,
    options: ReportOptions & { onProgress?: (report: Wire.FileReport) => void; pollMs?: number } = {},
  ): Promise<Wire.FileReport> {
    // A small file takes milliseconds, a large one a minute.
    for (let wait = 50; ; wait = Math.min(2 * wait, options.pollMs ?? 1000)) {
      const report = await this.report(id, options);
      if (report.status !== 'running') return report;
      options.onProgress?.(report);
      await pause(wait, options.signal);
    }
  }

  /** Returns the bytes of the file as they were uploaded. */
  content(id: string, options: { signal?: AbortSignal } = {}): Promise<OpenResponse> {
    return this.transport.open({
      ...request('GET /v1/files/{file_id}/content', id),
      headers: { accept: '*/*' },
      signal: options.signal,
    });
  }
}

function blobUpload(fields: Record<string, string>, blob: Blob, params: UploadParams): RepeatableBody {
  const ownName = 'name' in blob && typeof blob.name === 'string' ? blob.name : 'upload.jsonl';
  const filename = params.filename ?? ownName;
  const form = blobForm(fields, { field: 'file', filename, blob });
  if (form) return form;
  const source = { filename, bytes: blob.size, open: () => chunksOf(blob) };
  return multipartUpload(fields, source, params.onProgress);
}
