import { type FileMetaData, parquetMetadata, parquetSchema, type SchemaTree } from 'hyparquet';
import type { RandomAccess } from '../container.ts';
import { badParquet, reasonOf } from './bad-parquet.ts';

/** 1,000 row groups of ten columns need about 2 MB. */
const MAX_FOOTER_BYTES = 32 * 1024 * 1024;
const MAX_COLUMNS = 10_000;
const MAX_DEPTH = 32;
const TAIL_BYTES = 8;

export const MAGIC = [0x50, 0x41, 0x52, 0x31];
export const hasMagic = (bytes: Uint8Array, at = 0): boolean =>
  MAGIC.every((byte, i) => bytes[at + i] === byte);

/** The schema and the places of a file's columns, from its end. Throws GraftError. */
export async function readFooter(
  file: RandomAccess,
): Promise<{ metadata: FileMetaData; schema: SchemaTree }> {
  const tail = await file.read(Math.max(0, file.bytes - TAIL_BYTES), TAIL_BYTES);
  if (file.bytes < 2 * TAIL_BYTES || !hasMagic(tail, 4))
    throw badParquet('it does not end with PAR1; it may be cut off');
  const length = Buffer.from(tail).readUInt32LE(0);
  if (length > file.bytes - 12) throw badParquet(`its footer has ${length} bytes, more than the file`);
  if (length > MAX_FOOTER_BYTES)
    throw badParquet(`its footer has ${length} bytes; at most ${MAX_FOOTER_BYTES} are supported`);
  const footer = await file.read(file.bytes - TAIL_BYTES - length, length + TAIL_BYTES);
  try {
    // A copy: the library reads from the start of the memory.
    const metadata = parquetMetadata(Uint8Array.from(footer).buffer, { geoparquet: false });
    if (metadata.schema.length > MAX_COLUMNS) throw Error(`it has ${metadata.schema.length} columns`);
    const schema = parquetSchema(metadata);
    if (depthOf(schema) > MAX_DEPTH) throw Error(`its columns nest deeper than ${MAX_DEPTH} levels`);
    return { metadata, schema };
  } catch (error) {
    throw badParquet(`its footer is damaged${reasonOf(error)}`);
  }
}

function depthOf({ children }: SchemaTree): number {
  return 1 + Math.max(0, ...children.map(depthOf));
}
