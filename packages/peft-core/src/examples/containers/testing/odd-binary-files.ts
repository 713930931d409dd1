import { brotliCompressSync, gzipSync } from 'node:zlib';
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer';
import { bytes, line, lines, type OddFile } from './odd-file.ts';

export function parquetOf(columns: Record<string, unknown[]>, options: object = {}): Buffer {
  const columnData = Object.entries(columns).map(([name, data]) => ({ name, data })) as ColumnSource[];
  return Buffer.from(parquetWriteBuffer({ columnData, ...options }));
}
const goodParquet = parquetOf({
  prompt: Array.from({ length: 500 }, (_, i) => `question ${i}`),
  completion: Array.from({ length: 500 }, (_, i) => `answer ${i}`),
});
/** The file with some bytes replaced; `at` below zero counts from the end. */
function patched(file: Buffer, at: number, ...values: number[]): Buffer {
  const copy = Buffer.from(file);
  for (const [i, value] of values.entries()) copy[(at < 0 ? copy.length + at : at) + i] = value;
  return copy;
}
/** A Parquet file with any footer. */
function withFooter(footer: Buffer | number[], length = footer.length): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(length);
  return bytes('PAR1', [0, 0, 0, 0], Buffer.from(footer), size, 'PAR1');
}

/** Frame header of Zstandard with a window of 2^`log` bytes, and a raw block. */
const zstdFrame = (log: number, content: string) => {
  const block = Buffer.alloc(3);
  block.writeUIntLE((content.length << 3) | 1, 0, 3);
  return bytes([0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3], block, content);
};
/** Blocks of one repeated byte, 128 KiB each. */
const zstdBomb = (blocks: number) => {
  const block = Buffer.alloc(4);
  block.writeUIntLE((131_072 << 3) | (1 << 1), 0, 3);
  block[3] = 0x61;
  return bytes([0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3], ...Array(blocks).fill(block));
};

const bad = 'invalid_jsonl';
const kind = 'unknown_file_kind';
const shape = 'unknown_shape';

/** Compressed files, and Parquet. */
export const oddBinaryFiles: readonly OddFile[] = [
  // Compressed
  ['gzip that is cut off', gzipSync(lines(50_000)).subarray(0, 200), bad, /gzip data is damaged or cut off/],
  ['gzip that is damaged', patched(gzipSync(lines(20)), 12, 0xff, 0xff, 0xff), bad, /gzip data is damaged/],
  ['gzip of gzip', gzipSync(gzipSync(lines(5))), kind, /compressed twice/],
  ['gzip of nothing', gzipSync(''), 'empty_file', /no examples/],
  ['gzip of a Parquet file', gzipSync(goodParquet), bad, /Parquet compressed with gzip; decompress it/],
  ['a gzip bomb of one line', gzipSync(Buffer.alloc(200_000_000, 'a')), kind, /^line 1 is neither/],
  [
    'a gzip bomb of lines',
    gzipSync(bytes(lines(1), Buffer.alloc(150_000_000, `${line}\n`))),
    bad,
    /decompress to \d+, which is far more than data does/,
  ],
  [
    'zstd that is cut off',
    zstdFrame(20, lines(10)).subarray(0, 60),
    bad,
    /Zstandard data is damaged or cut off/,
  ],
  [
    'zstd with a large window',
    zstdFrame(27, lines(3)),
    bad,
    /needs a window of 134217728 bytes; at most 8388608/,
  ],
  [
    'zstd of another magic',
    bytes([
      0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff,
    ]),
    bad,
    /Zstandard data/,
  ],
  ['a zstd bomb', zstdBomb(2000), kind, /^line 1 is neither/],
  [
    'Brotli, which has no magic',
    brotliCompressSync(lines(200)),
    kind,
    /^(the file is binary|line 1 is neither)/,
  ],
  // Parquet
  [
    'Parquet that is cut off',
    goodParquet.subarray(0, goodParquet.length - 3),
    bad,
    /does not end with PAR1; it may be cut off/,
  ],
  [
    'Parquet cut off at half',
    goodParquet.subarray(0, goodParquet.length >> 1),
    bad,
    /does not end with PAR1/,
  ],
  ['Parquet of four bytes', bytes('PAR1'), bad, /does not end with PAR1/],
  [
    'a footer longer than the file',
    withFooter([0], 0x7fffffff),
    bad,
    /footer has 2147483647 bytes, more than the file/,
  ],
  ['an empty footer', withFooter([]), bad, /footer is damaged/],
  ['a footer of wrong thrift', withFooter([0x1f, 0x2e, 0x3d, 0x4c, 0x5b]), bad, /footer is damaged/],
  ['a footer that nests without end', withFooter(Buffer.alloc(200_000, 0x1c)), bad, /footer is damaged/],
  [
    'a footer with a list of 2^31 items',
    withFooter([0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]),
    bad,
    /footer is damaged/,
  ],
  [
    'a damaged page',
    patched(goodParquet, 40, ...Array(60).fill(0xff)),
    bad,
    /Parquet file cannot be read: the data from row 1 on is damaged/,
  ],
  [
    'a damaged page header',
    patched(goodParquet, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    bad,
    /the data from row 1 on is damaged/,
  ],
  [
    'Parquet without known columns',
    parquetOf({ frage: ['a'], antwort: ['b'] }),
    shape,
    /^the table has the columns "frage", "antwort"/,
  ],
  [
    'Parquet with numbers for texts',
    parquetOf({ prompt: [1, 2], completion: ['a', 'b'] }),
    bad,
    /^row 1 "prompt" must be a string, got 1/,
  ],
  [
    'Parquet with bytes that are no text',
    parquetOf({ prompt: [new Uint8Array([0xff, 0xfe])], completion: ['a'] }),
    bad,
    /^row 1 "prompt" must be a string, got \{"binary":2\}/,
  ],
  ['Parquet without rows', parquetOf({ text: [] }), 'empty_file', /no examples|cannot be read/],
];
