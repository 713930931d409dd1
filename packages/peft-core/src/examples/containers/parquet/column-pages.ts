import { isUtf8 } from 'node:buffer';
import type { ColumnChunk, DecodedArray, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, isFlatColumn } from 'hyparquet/src/schema.js';
import { compressors } from 'hyparquet-compressors';
import type { RandomAccess } from '../container.ts';

/** Bytes of a page when decompressed. Writers aim at one megabyte. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024;
/** Values of a page: a million equal ones need few bytes. */
const MAX_PAGE_VALUES = 2 ** 21;
/** Bytes first read for the header of a page, and at most: it may contain the smallest and the largest value. */
const HEADER_BYTES = 16 * 1024;
const MAX_HEADER_BYTES = 4 * 1024 * 1024;

/**
 * Encodings of values. DELTA_BYTE_ARRAY, whose values share the beginnings of others, is left out: a small page may decode to any
 * size, and no common writer uses it by default.
 */
const ENCODINGS = [
  'PLAIN',
  'PLAIN_DICTIONARY',
  'RLE_DICTIONARY',
  'RLE',
  'DELTA_BINARY_PACKED',
  'DELTA_LENGTH_BYTE_ARRAY',
  'BYTE_STREAM_SPLIT',
];

/** Types of values that JSON lacks. */
export const parsers = { ...DEFAULT_PARSERS, stringFromBytes: textOf, jsonFromBytes: textOf };

/** The pages of one column in a row group, one at a time. Throws Error for damaged data. */
export class ColumnPages {
  /** Path of the column, joined by dots. */
  readonly path: string;
  readonly #file: RandomAccess;
  readonly #schemaPath: SchemaTree[];
  readonly #column: NonNullable<ColumnChunk['meta_data']>;
  readonly #isFlat: boolean;
  #at: number;
  readonly #end: number;
  #dictionary: DecodedArray | undefined;
  /** The last row of a nested column, which the next page may continue. */
  #tail: DecodedArray | undefined;

  constructor(file: RandomAccess, column: NonNullable<ColumnChunk['meta_data']>, schemaPath: SchemaTree[]) {
    this.#file = file;
    this.#column = column;
    this.#schemaPath = schemaPath;
    this.path = column.path_in_schema.join('.');
    this.#isFlat = isFlatColumn(schemaPath);
    this.#at = Number(column.dictionary_page_offset || column.data_page_offset);
    this.#end = this.#at + Number(column.total_compressed_size);
    if (this.#at < 4 || this.#end > file.bytes || this.#end < this.#at)
      throw new Error(`column ${this.path} is outside of the file`);
  }

  /** The rows of the next page; null after the last one. A page may have no complete row. */
  async next(): Promise<DecodedArray | null> {
    if (this.#at >= this.#end - 1) {
      const rest = this.#tail ?? null;
      this.#tail = undefined;
      return rest;
    }
    const { header, bytes } = await this.#page();
    if (header.type !== 'DATA_PAGE' && header.type !== 'DATA_PAGE_V2' && header.type !== 'DICTIONARY_PAGE')
      return [];
    const { decoder, page } = this.#decoder(header, bytes);
    const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
    const plain = { ...header, compressed_page_size: page.length, uncompressed_page_size: page.length };
    if (header.type === 'DICTIONARY_PAGE') {
      const { data } = readPage(reader, plain, decoder, undefined, undefined, 0);
      this.#dictionary = data && convert(data, decoder);
      return [];
    }
    const { data = [] } = readPage(reader, plain, decoder, this.#dictionary, this.#tail, 0);
    if (this.#isFlat) return data;
    const rows = Array.from(data);
    this.#tail = rows.splice(-1);
    return rows;
  }

  async #page(): Promise<{ header: PageHeader; bytes: Uint8Array }> {
    for (let length = HEADER_BYTES; ; length *= 8) {
      const some = await this.#file.read(this.#at, Math.min(length, this.#end - this.#at));
      const reader = { view: new DataView(some.buffer, some.byteOffset, some.byteLength), offset: 0 };
      let header: PageHeader;
      try {
        header = parquetHeader(reader);
      } catch (error) {
        if (some.length < length || length > MAX_HEADER_BYTES) throw error;
        continue;
      }
      const size = header.compressed_page_size;
      const start = this.#at + reader.offset;
      if (!(size >= 0 && start + size <= this.#end))
        throw new Error(`a page of column ${this.path} has ${size} bytes, more than the column`);
      if (!(header.uncompressed_page_size >= 0 && header.uncompressed_page_size <= MAX_PAGE_BYTES))
        throw new Error(
          `a page of column ${this.path} has ${header.uncompressed_page_size} bytes when decompressed; at most ${MAX_PAGE_BYTES} are supported: write smaller pages`,
        );
      const values = valuesOf(header);
      if (!(values >= 0 && values <= MAX_PAGE_VALUES))
        throw new Error(
          `a page of column ${this.path} has ${values} values; at most ${MAX_PAGE_VALUES} are supported: write smaller pages`,
        );
      this.#at = start + size;
      const isRead = reader.offset + size <= some.length;
      const bytes = isRead
        ? some.subarray(reader.offset, reader.offset + size)
        : await this.#file.read(start, size);
      if (bytes.length < size) throw new Error(`column ${this.path} is cut off`);
      return { header, bytes };
    }
  }

  /** The page decompressed, with the checks that the library lacks, and how to read it. */
  #decoder(header: PageHeader, bytes: Uint8Array) {
    const { codec, type } = this.#column;
    const element = this.#schemaPath.at(-1)!.element;
    const levels = header.data_page_header_v2;
    const before = levels ? levels.repetition_levels_byte_length + levels.definition_levels_byte_length : 0;
    if (!(before >= 0 && before <= bytes.length)) throw new Error('the levels of a page have a wrong length');
    const isCompressed = codec !== 'UNCOMPRESSED' && (levels?.is_compressed ?? true);
    let page = bytes;
    if (isCompressed) {
      const decompress = compressors[codec];
      if (!decompress) throw new Error(`the compression ${codec} is not supported`);
      const length = header.uncompressed_page_size - before;
      const rest = length > 0 ? decompress(bytes.subarray(before), length) : new Uint8Array(0);
      if (rest.length !== length) throw new Error(`a page of column ${this.path} has a wrong length`);
      page = before === 0 ? rest : Buffer.concat([bytes.subarray(0, before), rest]);
    }
    const encoding = (header.data_page_header ?? levels)?.encoding;
    if (encoding !== undefined && !ENCODINGS.includes(encoding))
      throw new Error(`the encoding ${encoding} of column ${this.path} is not supported`);
    if (header.type !== 'DICTIONARY_PAGE')
      checkRuns(page, header, {
        repetition: getMaxRepetitionLevel(this.#schemaPath),
        definition: getMaxDefinitionLevel(this.#schemaPath),
        isBoolean: type === 'BOOLEAN',
        isNested: this.#schemaPath.length > 1,
      });
    const decoder = {
      pathInSchema: this.#column.path_in_schema,
      type,
      element,
      schemaPath: this.#schemaPath,
      codec: 'UNCOMPRESSED' as const,
      parsers,
    };
    return { decoder, page };
  }
}

function valuesOf(header: PageHeader): number {
  const { data_page_header, data_page_header_v2, dictionary_page_header } = header;
  if (header.type === 'DICTIONARY_PAGE') return dictionary_page_header?.num_values ?? -1;
  if (header.type === 'DATA_PAGE') return data_page_header?.num_values ?? -1;
  if (header.type === 'DATA_PAGE_V2') return data_page_header_v2?.num_values ?? -1;
  return 0;
}

/** Text of a column of bytes; the bytes themselves if they are not UTF-8. */
function textOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return bytes as unknown as string;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString();
  return text.includes('\ufffd') && !isUtf8(buffer) ? (buffer as unknown as string) : text;
}

interface Levels {
  /** Maximum repetition and definition level of the column. */
  repetition: number;
  definition: number;
  isBoolean: boolean;
  isNested: boolean;
}

/**
 * Checks the lengths of runs in a decompressed data page: hyparquet writes a run of any length, however many values the page has, so
 * that a few bytes would fill the memory. Throws Error.
 */
function checkRuns(page: Uint8Array, header: PageHeader, levels: Levels): void {
  const { data_page_header: v1, data_page_header_v2: v2 } = header;
  const { num_values: values, encoding } = (v1 ?? v2)!;
  let at = 0;
  if (v1) {
    for (const level of [levels.isNested ? levels.repetition : 0, levels.definition]) {
      if (level === 0) continue;
      if (at + 4 > page.length) throw new Error('a page is cut off');
      const length = Buffer.from(page.buffer, page.byteOffset + at, 4).readUInt32LE();
      checkPart(page, at + 4, at + 4 + length, widthOf(level), values);
      at += 4 + length;
    }
  } else if (v2) {
    const { repetition_levels_byte_length: first, definition_levels_byte_length: second } = v2;
    if (levels.repetition > 0) checkPart(page, 0, first, widthOf(levels.repetition), values);
    if (levels.definition > 0) checkPart(page, first, first + second, widthOf(levels.definition), values);
    at = first + second;
  }
  if (encoding === 'RLE' && levels.isBoolean) {
    // Its length comes first.
    checkPart(page, at + 4, page.length, 1, values);
  } else if (encoding === 'RLE' || encoding === 'RLE_DICTIONARY' || encoding === 'PLAIN_DICTIONARY') {
    if (at >= page.length) return;
    checkPart(page, at + 1, page.length, page[at]!, values);
  }
}

const widthOf = (level: number): number => 32 - Math.clz32(level);

/** Runs of at most `values` values of `width` bits. Bytes after them are ignored, as the library does. */
function checkPart(page: Uint8Array, start: number, end: number, width: number, values: number): void {
  if (end > page.length || width > 32) throw new Error('the levels of a page have a wrong length');
  let at = start;
  for (let seen = 0; seen < values && at < end; ) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = page[at++];
      if (byte === undefined || shift > 28) throw new Error('a run of a page is damaged');
      header |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    const count = header >>> 1;
    if (header & 1) {
      seen += count * 8;
      at += count * width;
    } else {
      if (seen + count > values) throw new Error(`a run has ${count} values, more than its page`);
      if (count === 0 && width === 0) throw new Error('a run of a page is empty');
      seen += count;
      at += (width + 7) >> 3;
    }
  }
}
