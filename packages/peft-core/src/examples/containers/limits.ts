/** Maximum size of a row in bytes: more than the longest context, and the limit of the checker's memory. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;
/** Maximum nesting depth of a row. Valid examples have three levels; tools and their arguments have more. */
export const MAX_LINE_DEPTH = 64;
/** Number of bytes at the start of a file from which its kind is recognised. */
export const START_BYTES = 64 * 1024;

/** Decoded bytes that any file may have, however few bytes it is compressed to. */
const FREE_BYTES = 16 * 1024 * 1024;
/** Beyond that, decoded bytes for each byte of the file. Text is compressed to a tenth; a decompression bomb to a thousandth. */
const MAX_RATIO = 100;

/** Returns true if `decoded` bytes are too many for the `read` bytes of a compressed file that they are from. */
export const isBomb = (decoded: number, read: number): boolean =>
  decoded > Math.max(FREE_BYTES, MAX_RATIO * read);
