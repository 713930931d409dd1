import type { PageHeader } from 'hyparquet';

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
export function checkRuns(page: Uint8Array, header: PageHeader, levels: Levels): void {
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
