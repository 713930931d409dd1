import { isUtf8 } from 'node:buffer';

/** Text of a column of bytes; the bytes themselves if they are not UTF-8. */
export function textOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return bytes as unknown as string;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString();
  return text.includes('\ufffd') && !isUtf8(buffer) ? (buffer as unknown as string) : text;
}
