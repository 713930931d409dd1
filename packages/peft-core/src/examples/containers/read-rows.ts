import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GraftError } from '../../errors.ts';
import type { Compression, Decompressor } from './compression/compression.ts';
import { gzip } from './compression/gzip.ts';
import { zstd } from './compression/zstd.ts';
import type { ByteReader, Container, FileStart, RandomAccess, RowSink } from './container.ts';
import { kindOf } from './file-kind.ts';
import { isBomb, START_BYTES } from './limits.ts';

const CHUNK_BYTES = 64 * 1024;
/** Bytes from which a compression is recognised. */
const MAGIC_BYTES = 4;

/** Recognised kind of a data file. */
export interface FileKind {
  /** Name of the container. */
  kind: string;
  /** Name of the compression; null: none. */
  compression: string | null;
}

/**
 * Reads the rows of a data file whose bytes arrive in order, of any kind and compression. A kind of which parts are read, such as
 * Parquet, is written to a temporary file first, and read when the file is complete. Every method throws GraftError: `invalid_jsonl` for
 * damaged data, `unknown_file_kind`, and what the sink throws; after that call `close`.
 */
export class RowReader {
  readonly #sink: RowSink;
  /** Compressed bytes so far, and what they were decompressed to. */
  #read = 0;
  #decoded = 0;
  /** The first bytes, until the compression is known. */
  #head: Uint8Array | null = new Uint8Array(0);
  #compression: { name: string; decompressor: Decompressor } | null = null;
  /** The first bytes of the content, until its kind is known. */
  #start: Uint8Array[] = [];
  #startBytes = 0;
  #container: Container | null = null;
  #reader: ByteReader | null = null;
  #isFinished = false;
  #spool: { folder: string; file: number; bytes: number } | null = null;

  constructor(sink: RowSink) {
    this.#sink = sink;
  }

  /** Null until it is known. */
  get kind(): FileKind | null {
    return this.#container && { kind: this.#container.name, compression: this.#compression?.name ?? null };
  }

  /** True if the bytes go to a temporary file. */
  get spools(): boolean {
    return this.#spool !== null;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#read += chunk.length;
    if (!this.#head) return await this.#decompress(chunk);
    this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    if (this.#head.length < MAGIC_BYTES) {
      this.#head = this.#head.slice();
      return;
    }
    await this.#open();
  }

  /**
   * The file is complete: passes on all rows, but for a kind of which parts are read. Returns the path of its temporary file, which is
   * valid until `close`; null for other kinds. May be called again.
   */
  async finish(): Promise<string | null> {
    if (!this.#isFinished) {
      this.#isFinished = true;
      if (this.#head) await this.#open();
      await this.#compression?.decompressor.end();
      if (!this.#container) this.#recognise(true);
      this.#reader?.end();
    }
    return this.#spool && join(this.#spool.folder, 'file');
  }

  async end(): Promise<FileKind> {
    const path = await this.finish();
    if (path) {
      const file = await open(path, 'r');
      try {
        const all = randomAccess(file, this.#spool!.bytes);
        await this.#container!.readFile!(all, this.#sink, async () => {}, readPart);
      } finally {
        await file.close();
      }
    }
    this.close();
    return this.kind!;
  }

  /** Removes what an unfinished file has left. */
  close(): void {
    this.#compression?.decompressor.close();
    const spool = this.#spool;
    this.#spool = null;
    if (!spool) return;
    closeSync(spool.file);
    rmSync(spool.folder, { recursive: true, force: true });
  }

  /** The first bytes are known. */
  async #open(): Promise<void> {
    const head = this.#head!;
    this.#head = null;
    const compression = compressionOf(head);
    if (compression) {
      const decompressor = compression.open((piece) => this.#content(piece));
      this.#compression = { name: compression.name, decompressor };
    }
    await this.#decompress(head);
  }

  async #decompress(chunk: Uint8Array): Promise<void> {
    if (this.#compression) await this.#compression.decompressor.write(chunk);
    else this.#content(chunk);
  }

  #content(piece: Uint8Array): void {
    this.#decoded += piece.length;
    if (this.#compression && isBomb(this.#decoded, this.#read))
      throw new GraftError(
        'invalid_jsonl',
        `the file's first ${this.#read} bytes decompress to ${this.#decoded}, which is far more than data does`,
      );
    if (this.#reader) this.#reader.write(piece);
    else if (this.#spool) this.#write(piece);
    else {
      this.#start.push(piece.slice());
      this.#startBytes += piece.length;
      if (this.#startBytes >= START_BYTES) this.#recognise(false);
    }
  }

  #recognise(isWhole: boolean): void {
    const all = withoutBom(Buffer.concat(this.#start));
    this.#start = [];
    const start = startOf(all, isWhole);
    this.#begin(kindOf(start), start);
    if (this.#reader) this.#reader.write(all);
    else this.#write(all);
  }

  #begin(container: Container, start: FileStart): void {
    this.#container = container;
    if (container.readFile && this.#compression)
      throw new GraftError(
        'invalid_jsonl',
        `the file is ${container.title} compressed with ${this.#compression.name}; decompress it: only what is in it may be compressed`,
      );
    this.#sink.begin(container);
    if (container.stream) this.#reader = container.stream(this.#sink, start);
    else {
      const folder = mkdtempSync(join(tmpdir(), 'graft-rows-'));
      this.#spool = { folder, file: openSync(join(folder, 'file'), 'w', 0o600), bytes: 0 };
    }
  }

  #write(bytes: Uint8Array): void {
    const spool = this.#spool!;
    for (let at = 0; at < bytes.length; ) at += writeSync(spool.file, bytes, at);
    spool.bytes += bytes.length;
  }
}

/**
 * Reads the rows of a local file; the memory that it needs does not grow with the file. `onBytes` receives all bytes of the file in
 * order, about when the rows in them were read. Throws as RowReader does.
 */
export async function readRows(
  path: string,
  sink: RowSink,
  { onBytes = () => {} }: { onBytes?: (chunk: Uint8Array) => void } = {},
): Promise<FileKind> {
  const file = await open(path, 'r');
  const reader = new RowReader(sink);
  try {
    const { size } = await file.stat();
    const all = randomAccess(file, size);
    const start = startOf(await all.read(0, START_BYTES), size <= START_BYTES);
    let at = 0;
    const advance = async (to: number) => {
      for (let chunk = null; at < to; at += chunk.length) {
        chunk = await all.read(at, Math.min(CHUNK_BYTES, to - at));
        if (chunk.length === 0) break;
        onBytes(chunk);
      }
    };
    const direct = compressionOf(start.bytes) === null && size > 0 ? directOf(start) : null;
    if (direct) {
      sink.begin(direct);
      await direct.readFile!(all, sink, advance, readPart);
      await advance(size);
      return { kind: direct.name, compression: null };
    }
    for (
      let chunk = await all.read(0, CHUNK_BYTES);
      chunk.length > 0;
      chunk = await all.read(at, CHUNK_BYTES)
    ) {
      at += chunk.length;
      await reader.write(chunk);
      onBytes(chunk);
    }
    return await reader.end();
  } finally {
    reader.close();
    await file.close();
  }
}

/** The rows of a file within another one. */
async function readPart(
  file: RandomAccess,
  sink: RowSink,
  onPosition: (bytes: number) => Promise<void>,
): Promise<void> {
  const start = startOf(await file.read(0, START_BYTES), file.bytes <= START_BYTES);
  const direct = compressionOf(start.bytes) === null && file.bytes > 0 ? directOf(start) : null;
  if (direct) {
    sink.begin(direct);
    return await direct.readFile!(file, sink, onPosition, readPart);
  }
  const reader = new RowReader(sink);
  try {
    for (let at = 0; at < file.bytes; await onPosition(at)) {
      const chunk = await file.read(at, CHUNK_BYTES);
      if (chunk.length === 0) break;
      await reader.write(chunk);
      at += chunk.length;
    }
    await reader.end();
  } finally {
    reader.close();
  }
}

/** A kind of which parts are read. */
function directOf(start: FileStart): Container | null {
  try {
    const container = kindOf(start);
    return container.readFile ? container : null;
  } catch {
    // It is reported when the file is read.
    return null;
  }
}

function randomAccess(file: FileHandle, bytes: number): RandomAccess {
  return {
    bytes,
    read: async (at, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, at);
      return buffer.subarray(0, bytesRead);
    },
  };
}

function withoutBom(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

function startOf(all: Uint8Array, isWhole: boolean): FileStart {
  const bytes = withoutBom(all).subarray(0, START_BYTES);
  const whole = isWhole && bytes.length === withoutBom(all).length;
  const text = new TextDecoder().decode(bytes);
  return { bytes, text: whole ? text : text.slice(0, text.lastIndexOf('\n') + 1) || text, isWhole: whole };
}

const compressions: readonly Compression[] = [gzip, zstd];

function compressionOf(bytes: Uint8Array): Compression | null {
  return compressions.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte)) ?? null;
}
