import { multipartUpload, type UploadProgress, type UploadSource } from '../multipart-upload.ts';
import { PageList } from '../page-list.ts';
import { canHash, createSha256, requireNodeModule } from '../platform.ts';
import type { Transport } from '../transport.ts';
import type { UploadObject, UploadPart } from '../types.ts';
import { blobForm, chunksOf } from '../upload-sources.ts';

export interface UploadCreateParams {
  filename: string;
  /** Size of the whole file. */
  bytes: number;
  purpose?: string;
  mime_type?: string;
}

export interface SendFileParams {
  /** A path (Node) or a Blob or File. */
  file: string | Blob;
  /** Required for a Blob without a name. */
  filename?: string;
  /** Which column of the file each field is in: `{"prompt": "question"}`. Default: as recognised. */
  columns?: Record<string, string> | undefined;
  /** `skip` accepts a file with invalid lines, for jobs that leave them out. Default `fail`: they are refused. */
  onBadLines?: 'fail' | 'skip' | undefined;
  /** Bytes of a part, the most that a broken connection costs. Default 16 MiB. */
  partBytes?: number;
  /** In browsers called after each part. */
  onProgress?: UploadProgress;
  /** Called with the upload to which the parts are sent: a new one, or one that is resumed. */
  onUpload?: (upload: UploadObject) => void;
  /** Called once if parts of an earlier try need not be sent again. */
  onResume?: (progress: { sent: number; total: number }) => void;
  signal?: AbortSignal;
}

const defaultPartBytes = 16 * 2 ** 20;

/** Files sent in parts, which can be resumed after a connection or a program failed. */
export class Uploads {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(params: UploadCreateParams): Promise<UploadObject> {
    const json = { purpose: 'fine-tune', mime_type: 'text/jsonl', ...params };
    return this.#transport.json({ method: 'POST', path: '/uploads', json });
  }

  retrieve(id: string): Promise<UploadObject> {
    return this.#transport.json({ method: 'GET', path: pathOf(id) });
  }

  /** Lists uploads, newest first. */
  list(
    params: { status?: UploadObject['status']; limit?: number; after?: string } = {},
  ): PageList<UploadObject> {
    return new PageList(this.#transport, '/uploads', params);
  }

  /** Lists parts in the order in which they were received. */
  parts(id: string, params: { limit?: number; after?: string } = {}): PageList<UploadPart> {
    return new PageList(this.#transport, `${pathOf(id)}/parts`, params);
  }

  /** Sends a part of at most 64 MiB. Sending the same bytes again returns the same part. */
  addPart(
    id: string,
    data: Blob,
    options: { onProgress?: UploadProgress | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<UploadPart> {
    return this.#addPart(id, { bytes: data.size, blob: data, open: () => chunksOf(data) }, options);
  }

  #addPart(
    id: string,
    piece: Omit<UploadSource, 'filename'> & { blob: Blob | null },
    options: { onProgress?: UploadProgress | undefined; signal?: AbortSignal | undefined },
  ): Promise<UploadPart> {
    return this.#transport.json({
      method: 'POST',
      path: `${pathOf(id)}/parts`,
      body:
        (piece.blob && blobForm({}, { field: 'data', filename: 'part', blob: piece.blob })) ??
        multipartUpload({}, { field: 'data', filename: 'part', ...piece }, options.onProgress),
      signal: options.signal,
    });
  }

  /** Assembles the file; `part_ids` in the order of the file. Repeating the same completion returns the same file. */
  complete(
    id: string,
    params: {
      part_ids: string[];
      md5?: string;
      columns?: Record<string, string>;
      on_bad_lines?: 'fail' | 'skip';
    },
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<UploadObject> {
    return this.#transport.json({
      method: 'POST',
      path: `${pathOf(id)}/complete`,
      json: params,
      signal: options.signal,
    });
  }

  cancel(id: string): Promise<UploadObject> {
    return this.#transport.json({ method: 'POST', path: `${pathOf(id)}/cancel` });
  }

  /**
   * Sends a file in parts and completes it. Resumes a pending upload of the same name and size if there is one: parts that it already has,
   * recognised by their digests, are not sent again; a browser that cannot hash sends all parts. Throws TypeError if the file changes
   * meanwhile.
   */
  async sendFile(params: SendFileParams): Promise<UploadObject> {
    const { onProgress, columns, onBadLines, signal } = params;
    const source = await openSource(params);
    const { filename, total } = source;
    const pieces = await piecesOf(source, params.partBytes ?? defaultPartBytes, signal);
    const { upload, known } = await this.#findOrCreate({ filename, bytes: total }, pieces);
    params.onUpload?.(upload);
    let sent = pieces.reduce((sum, { sha256, bytes }) => sum + (sha256 && known.has(sha256) ? bytes : 0), 0);
    if (sent > 0) params.onResume?.({ sent, total });
    const partIds: string[] = [];
    for (const piece of pieces) {
      const { sha256, bytes } = piece;
      const id = sha256 === null ? undefined : known.get(sha256);
      if (id !== undefined) {
        partIds.push(id);
        continue;
      }
      const before = sent;
      const part = await this.#addPart(upload.id, piece, {
        signal,
        onProgress: (progress) => onProgress?.({ sent: before + progress.sent, total }),
      });
      if (sha256 !== null && part.sha256 !== sha256)
        throw new TypeError(`${filename} has changed while it was sent.`);
      sent = before + bytes;
      onProgress?.({ sent, total });
      partIds.push(part.id);
    }
    const completion: Parameters<Uploads['complete']>[1] = { part_ids: partIds };
    if (columns) completion.columns = columns;
    if (onBadLines) completion.on_bad_lines = onBadLines;
    return await this.complete(upload.id, completion, { signal });
  }

  /** `known` maps digests to ids of parts. */
  async #findOrCreate(
    about: { filename: string; bytes: number },
    pieces: readonly Piece[],
  ): Promise<{ upload: UploadObject; known: Map<string, string> }> {
    for await (const upload of this.list({ status: 'pending', limit: 100 })) {
      if (upload.filename !== about.filename || upload.bytes !== about.bytes) continue;
      const parts = await this.parts(upload.id).toArray();
      const known = new Map(parts.map(({ sha256, id }) => [sha256, id]));
      const missing = new Map(pieces.map(({ sha256, bytes }, i) => [sha256 ?? i, bytes]));
      for (const sha256 of known.keys()) missing.delete(sha256);
      const bytes = [...missing.values()].reduce((sum, size) => sum + size, 0);
      // An upload with parts of another file of this name and size may lack the space.
      if (bytes <= upload.bytes - upload.received_bytes) return { upload, known };
    }
    return { upload: await this.create(about), known: new Map() };
  }
}

const pathOf = (id: string) => `/uploads/${encodeURIComponent(id)}`;

/** Reads the bytes of the file from `from` (inclusive) to `to` (exclusive), afresh at each call. */
type Read = (from: number, to: number) => AsyncIterable<Uint8Array>;

interface Piece {
  bytes: number;
  /** Null: this browser cannot hash. */
  sha256: string | null;
  blob: Blob | null;
  open(): AsyncIterable<Uint8Array>;
}

interface Source {
  filename: string;
  total: number;
  read: Read;
  /** Null for a path. */
  blob: Blob | null;
}

async function openSource({ file, filename }: SendFileParams): Promise<Source> {
  if (typeof file !== 'string') {
    const ownName = 'name' in file && typeof file.name === 'string' ? file.name : 'upload.jsonl';
    const read: Read = (from, to) => chunksOf(file.slice(from, to));
    return { filename: filename ?? ownName, total: file.size, read, blob: file };
  }
  const fs = requireNodeModule('node:fs', 'Uploading from a path');
  const { basename } = requireNodeModule('node:path', 'Uploading from a path');
  const stats = await fs.promises.stat(file);
  if (!stats.isFile()) throw new TypeError(`${file} is not a file.`);
  const read: Read = (start, to) => fs.createReadStream(file, { start, end: to - 1 });
  return { filename: filename ?? basename(file), total: stats.size, read, blob: null };
}

/** Returns the parts of a file with their digests; reads it once. */
async function piecesOf(
  { total, read, blob }: Source,
  partBytes: number,
  signal: AbortSignal | undefined,
): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for (let from = 0; from < total; from += partBytes) {
    const to = Math.min(from + partBytes, total);
    const sha256 = canHash() ? await digestOf(read(from, to), signal) : null;
    const part = blob?.slice(from, to) ?? null;
    pieces.push({ bytes: to - from, sha256, blob: part, open: () => read(from, to) });
  }
  return pieces;
}

async function digestOf(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<string> {
  const digest = createSha256();
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    digest.update(chunk);
  }
  return await digest.digest();
}
