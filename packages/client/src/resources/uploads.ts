import { multipartUpload, type UploadProgress, type UploadSource } from '../multipart-upload.ts';
import { PageList } from '../page-list.ts';
import { createSha256, requireNodeModule } from '../platform.ts';
import type { Transport } from '../transport.ts';
import type { UploadObject, UploadPart } from '../wire-objects.ts';

export interface UploadCreateParams {
  filename: string;
  /** Of the whole file. */
  bytes: number;
  purpose?: string;
  mime_type?: string;
}

export interface SendFileParams {
  /** A path (Node) or a Blob or File. */
  file: string | Blob;
  /** Needed for a Blob without a name. */
  filename?: string;
  /** Bytes of a part; what a connection that breaks costs at most. Default 16 MiB. */
  partBytes?: number;
  onProgress?: UploadProgress;
  /** Called once when parts of an earlier try need not be sent again. */
  onResume?: (progress: { sent: number; total: number }) => void;
  signal?: AbortSignal;
}

const defaultPartBytes = 16 * 2 ** 20;

/** Files sent in parts, which go on after a connection or a program broke. */
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

  /** Newest first. */
  list(
    params: { status?: UploadObject['status']; limit?: number; after?: string } = {},
  ): PageList<UploadObject> {
    return new PageList(this.#transport, '/uploads', params);
  }

  /** In the order in which they came. */
  parts(id: string, params: { limit?: number; after?: string } = {}): PageList<UploadPart> {
    return new PageList(this.#transport, `${pathOf(id)}/parts`, params);
  }

  /** At most 64 MiB. The same bytes again are the same part. */
  addPart(
    id: string,
    data: Blob,
    options: { onProgress?: UploadProgress | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<UploadPart> {
    return this.#addPart(id, { bytes: data.size, open: () => chunksOf(data) }, options);
  }

  #addPart(
    id: string,
    piece: Omit<UploadSource, 'filename'>,
    options: { onProgress?: UploadProgress | undefined; signal?: AbortSignal | undefined },
  ): Promise<UploadPart> {
    return this.#transport.json({
      method: 'POST',
      path: `${pathOf(id)}/parts`,
      body: multipartUpload({}, { field: 'data', filename: 'part', ...piece }, options.onProgress),
      signal: options.signal,
    });
  }

  /** `part_ids` in the order of the file. The same completion again answers the same file. */
  complete(
    id: string,
    params: { part_ids: string[]; md5?: string },
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
   * Sends a file in parts and completes it. Goes on with a pending upload of the same name and length where there is one: parts
   * that it has, told by their digests, are not sent again. Throws TypeError when the file changes meanwhile.
   */
  async sendFile(params: SendFileParams): Promise<UploadObject> {
    const { onProgress, signal } = params;
    const { filename, total, read } = await openSource(params);
    const pieces = await piecesOf(total, params.partBytes ?? defaultPartBytes, read, signal);
    const { upload, known } = await this.#findOrCreate({ filename, bytes: total }, pieces);
    let sent = pieces.reduce((sum, { sha256, bytes }) => sum + (known.has(sha256) ? bytes : 0), 0);
    if (sent > 0) params.onResume?.({ sent, total });
    const partIds: string[] = [];
    for (const piece of pieces) {
      const { sha256, bytes } = piece;
      const id = known.get(sha256);
      if (id !== undefined) {
        partIds.push(id);
        continue;
      }
      const before = sent;
      const part = await this.#addPart(upload.id, piece, {
        signal,
        onProgress: (progress) => onProgress?.({ sent: before + progress.sent, total }),
      });
      if (part.sha256 !== sha256) throw new TypeError(`${filename} has changed while it was sent.`);
      sent = before + bytes;
      partIds.push(part.id);
    }
    return await this.complete(upload.id, { part_ids: partIds }, { signal });
  }

  /** `known`: ids of parts by their digests. */
  async #findOrCreate(
    about: { filename: string; bytes: number },
    pieces: readonly Piece[],
  ): Promise<{ upload: UploadObject; known: Map<string, string> }> {
    for await (const upload of this.list({ status: 'pending', limit: 100 })) {
      if (upload.filename !== about.filename || upload.bytes !== about.bytes) continue;
      const parts = await this.parts(upload.id).toArray();
      const known = new Map(parts.map(({ sha256, id }) => [sha256, id]));
      const missing = new Map(pieces.map(({ sha256, bytes }) => [sha256, bytes]));
      for (const sha256 of known.keys()) missing.delete(sha256);
      const bytes = [...missing.values()].reduce((sum, size) => sum + size, 0);
      // Parts of another file of this name and length leave too little room.
      if (bytes <= upload.bytes - upload.received_bytes) return { upload, known };
    }
    return { upload: await this.create(about), known: new Map() };
  }
}

const pathOf = (id: string) => `/uploads/${encodeURIComponent(id)}`;

/** Reads bytes of the file from `from` up to, not including, `to`; anew at each call. */
type Read = (from: number, to: number) => AsyncIterable<Uint8Array>;

interface Piece {
  bytes: number;
  sha256: string;
  open(): AsyncIterable<Uint8Array>;
}

async function openSource({
  file,
  filename,
}: SendFileParams): Promise<{ filename: string; total: number; read: Read }> {
  if (typeof file !== 'string') {
    const ownName = 'name' in file && typeof file.name === 'string' ? file.name : 'upload.jsonl';
    const read: Read = (from, to) => chunksOf(file.slice(from, to));
    return { filename: filename ?? ownName, total: file.size, read };
  }
  const fs = requireNodeModule('node:fs', 'Uploading from a path');
  const { basename } = requireNodeModule('node:path', 'Uploading from a path');
  const stats = await fs.promises.stat(file);
  if (!stats.isFile()) throw new TypeError(`${file} is not a file.`);
  const read: Read = (start, to) => fs.createReadStream(file, { start, end: to - 1 });
  return { filename: filename ?? basename(file), total: stats.size, read };
}

/** The parts that a file has, with their digests: reads it once. */
async function piecesOf(
  total: number,
  partBytes: number,
  read: Read,
  signal: AbortSignal | undefined,
): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for (let from = 0; from < total; from += partBytes) {
    const to = Math.min(from + partBytes, total);
    const digest = createSha256();
    for await (const chunk of read(from, to)) {
      signal?.throwIfAborted();
      digest.update(chunk);
    }
    pieces.push({ bytes: to - from, sha256: await digest.digest(), open: () => read(from, to) });
  }
  return pieces;
}

async function* chunksOf(blob: Blob): AsyncGenerator<Uint8Array, void, void> {
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
