import { GraftError } from '../../errors.ts';
import type { Container, RandomAccess, ReadFile, RowSink } from './container.ts';

/** Bytes of a header, to a multiple of which contents are filled up. Two empty ones end an archive. */
const BLOCK = 512;
/** Each may decompress to far more than its bytes: see `isBomb`. */
export const MAX_FILES = 100;
/** Kinds of entries without rows: directories, and what precedes another entry, such as its long name. */
const SKIPPED = '5xgLK';

/** A tar archive of files of one kind: the shards of a split, as one file. */
export const tar: Container = {
  name: 'tar',
  title: 'a tar archive of files of one other kind',
  // Those of the files apply.
  unit: 'row',
  cells: 'typed',
  sample: 'train-00000-of-00002.parquet…',
  recognised: 'has `ustar` at byte 257',
  matches: ({ bytes }) => Buffer.from(bytes.subarray(257, 262)).toString('latin1') === 'ustar',
  readFile: readTar,
};

export const tarBytes = (sizes: readonly number[]): number =>
  sizes.reduce((sum, size) => sum + BLOCK + size + filling(size), 0) + 2 * BLOCK;

/** Header before a file's content in an archive. `name`: at most 100 bytes of it are kept. */
export function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(Buffer.from(name).subarray(-100).toString('latin1'), 0, 'latin1');
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  octal(0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.write('0ustar\x0000', 156, 'latin1');
  // The name of the format is at 257.
  header.copyWithin(257, 157, 165).fill(0, 157, 165);
  header.write(`${checksum(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** Filling after a file's content in an archive. */
export const tarFilling = (size: number): Buffer => Buffer.alloc(filling(size));
export const tarEnd = (): Buffer => Buffer.alloc(2 * BLOCK);

const filling = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** The sum of a header's bytes, with spaces for the sum itself. */
function checksum(header: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!;
  return sum;
}

/** Rows are numbered through all files. */
async function readTar(
  file: RandomAccess,
  sink: RowSink,
  onPosition: (bytes: number) => Promise<void>,
  readFile: ReadFile,
): Promise<void> {
  let kind: Container | null = null;
  let before = 0;
  let last = 0;
  let files = 0;
  const shards: RowSink = {
    begin(container) {
      if (container === tar) throw broken('it has another archive in it');
      if (kind && container !== kind)
        throw broken(`it is ${container.title}, and earlier files are ${kind.title}`);
      if (!kind) sink.begin(container);
      kind = container;
    },
    columns: (names) => sink.columns(names),
    unused: (column, values) => sink.unused?.(column, values),
    row(number, value, checksText) {
      last = before + number;
      sink.row(last, value, checksText);
    },
    bad(number, fault) {
      last = before + number;
      sink.bad(last, fault);
    },
  };
  for await (const { name, at, size } of entriesOf(file)) {
    if (++files > MAX_FILES) throw broken(`it has more than ${MAX_FILES} files`);
    before = last;
    const part: RandomAccess = {
      bytes: size,
      read: async (from, length) => await file.read(at + from, Math.max(0, Math.min(length, size - from))),
    };
    try {
      await readFile(part, shards, async (bytes) => await onPosition(at + bytes));
    } catch (error) {
      throw named(error, name);
    }
  }
  if (files === 0) throw broken('it has no files');
}

/** The plain files of an archive, but for hidden ones, which some systems add. */
async function* entriesOf(file: RandomAccess): AsyncGenerator<{ name: string; at: number; size: number }> {
  for (let at = 0; at < file.bytes; ) {
    const header = Buffer.from(await file.read(at, BLOCK));
    if (header.length === BLOCK && header.every((byte) => byte === 0)) return;
    const text = (from: number, length: number) =>
      header.toString('utf8', from, from + length).split('\0')[0]!;
    const size = Number.parseInt(text(124, 12).trim(), 8);
    if (header.length < BLOCK || Number.parseInt(text(148, 8).trim(), 8) !== checksum(header))
      throw broken(`it is damaged or cut off at byte ${at}`);
    const name = text(0, 100);
    at += BLOCK;
    if (!(size >= 0 && at + size <= file.bytes))
      throw broken(`${name} has ${size} bytes, more than the archive`);
    const type = text(156, 1) || '0';
    if (!SKIPPED.includes(type) && type !== '0') throw broken(`${name} is a link or another special file`);
    const isHidden = name.split('/').at(-1)!.startsWith('.');
    if (type === '0' && !isHidden) yield { name, at, size };
    at += size + filling(size);
  }
}

const broken = (what: string): GraftError =>
  new GraftError('invalid_jsonl', `the tar archive cannot be read: ${what}`);

/** An error of a file as a whole, with the file's name. */
function named(error: unknown, name: string): unknown {
  if (!(error instanceof GraftError) || error.details || error.message.startsWith('the tar archive'))
    return error;
  return new GraftError(error.code, `${name}: ${error.message}`, { cause: error });
}
