import { GraftError } from '../../errors.ts';
import type { Container, FileStart } from './container.ts';
import { containers } from './containers.ts';
import { jsonl } from './jsonl.ts';
import { parquet } from './parquet/parquet.ts';
import { tar } from './tar.ts';

/** First bytes of files that people upload by mistake, and what they are. */
const OTHERS: readonly [bytes: number[], title: string, advice: string][] = [
  [[0x50, 0x4b, 0x03, 0x04], 'a ZIP archive or a spreadsheet (.xlsx)', 'unpack it, or save the sheet as CSV'],
  [[0x25, 0x50, 0x44, 0x46], 'a PDF document', 'extract its text'],
  [[0x42, 0x5a, 0x68], 'compressed with bzip2', 'use gzip or zstd'],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], 'compressed with xz', 'use gzip or zstd'],
  [[0x04, 0x22, 0x4d, 0x18], 'compressed with lz4', 'use gzip or zstd'],
  [[0x37, 0x7a, 0xbc, 0xaf], 'a 7z archive', 'unpack it'],
  [[0x52, 0x61, 0x72, 0x21], 'a RAR archive', 'unpack it'],
  [[0x41, 0x52, 0x52, 0x4f, 0x57, 0x31], 'an Arrow file', 'save it as Parquet'],
  [[0xff, 0xff, 0xff, 0xff], 'an Arrow stream', 'save it as Parquet'],
  [[0x4f, 0x62, 0x6a, 0x01], 'an Avro file', 'save it as Parquet'],
  [[0x4f, 0x52, 0x43], 'an ORC file', 'save it as Parquet'],
  [[0x53, 0x51, 0x4c, 0x69, 0x74, 0x65], 'an SQLite database', 'export it as CSV'],
  [[0x80, 0x02], 'a Python pickle', 'save it as Parquet or JSON lines'],
  [[0x80, 0x04], 'a Python pickle', 'save it as Parquet or JSON lines'],
  [[0x80, 0x05], 'a Python pickle', 'save it as Parquet or JSON lines'],
  [[0x93, 0x4e, 0x55, 0x4d], 'a NumPy array', 'save it as Parquet or JSON lines'],
  [[0x89, 0x48, 0x44, 0x46], 'an HDF5 file', 'save it as Parquet'],
  [[0xff, 0xfe], 'UTF-16 text', 'save it as UTF-8'],
  [[0xfe, 0xff], 'UTF-16 text', 'save it as UTF-8'],
  [[0x1f, 0x8b], 'compressed twice', 'compress it once'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'compressed twice', 'compress it once'],
];

/** The beginning of an object that spans several lines. */
const SPREAD_OBJECT = /^\s*\{\s*(?:"[^"\n]*"\s*:\s*[[{]?\s*)?\r?\n/;

/** The kind of a file, by what it begins with. Throws GraftError `unknown_file_kind`. */
export function kindOf(start: FileStart): Container {
  const { bytes, text } = start;
  for (const [magic, title, advice] of OTHERS)
    if (magic.every((byte, i) => bytes[i] === byte)) throw unknown(`the file is ${title}; ${advice}`);
  const zeros = bytes.subarray(0, 1024).filter((byte) => byte === 0).length;
  const isWide = zeros * 3 > Math.min(bytes.length, 1024);
  // A zero byte within a line of JSON is a fault of that line.
  if (zeros > 0 && !parquet.matches(start) && !tar.matches(start) && (isWide || !/^\s*[[{]/.test(text)))
    throw unknown(isWide ? 'the file is UTF-16 text; save it as UTF-8' : 'the file is binary data, not text');
  if (SPREAD_OBJECT.test(text))
    throw unknown(
      'line 1 begins an object that spans several lines; write each object on one line (JSON lines), or put all into one array, [ … ]',
    );
  // A file without content has no rows, of any kind.
  if (text.trim() === '') return jsonl;
  const found = containers.find((container) => container.matches(start));
  if (found) return found;
  if (!/\n/.test(text) && /\r/.test(text))
    throw unknown('the lines of the file end with a carriage return only; end them with a line feed');
  if (/^\s*</.test(text))
    throw unknown('the file is HTML or XML; it may be a page that was downloaded instead of the data');
  throw unknown(
    'line 1 is neither a JSON object nor the names of columns. A file is JSON lines, such as {"prompt": "…", "completion": "…"}, a JSON array of such objects, CSV or TSV with the names of the columns in the first row, or Parquet',
  );
}

function unknown(message: string): GraftError {
  return new GraftError('unknown_file_kind', message);
}
