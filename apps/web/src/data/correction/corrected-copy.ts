/** Bytes of a file, from `start` to before `end`, and the text that replaces them; null leaves them out. */
export interface Change {
  start: number;
  end: number;
  text: string | null;
}

/** A copy of a file with changes that do not overlap. It refers to the unchanged bytes of the original, which are not read. */
export function correctedCopy(original: Blob, changes: readonly Change[]): Blob {
  const parts: BlobPart[] = [];
  let at = 0;
  for (const { start, end, text } of changes.toSorted((a, b) => a.start - b.start)) {
    if (start > at) parts.push(original.slice(at, start));
    if (text !== null) parts.push(text);
    at = end;
  }
  if (at < original.size) parts.push(original.slice(at));
  return new Blob(parts);
}

/** White space of JSON, and the bytes of a byte order mark. */
const blankBytes = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

/** Returns true if a file has nothing but empty lines. Reads up to the first other byte. */
export async function isBlank(file: Blob): Promise<boolean> {
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return true;
    if (value.every((byte) => blankBytes.has(byte))) continue;
    await reader.cancel();
    return false;
  }
}

/** "train-corrected.jsonl" for "train.jsonl", and "train-corrected-2.jsonl" for that. */
export function correctedName(name: string): string {
  const dot = name.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  const numbered = /^(.*-corrected)(?:-(\d{1,6}))?$/s.exec(stem);
  if (!numbered) return `${stem}-corrected${extension}`;
  return `${numbered[1]}-${Number(numbered[2] ?? 1) + 1}${extension}`;
}

/** First bytes of gzip and zstd. */
const compressions = [
  [0x1f, 0x8b],
  [0x28, 0xb5, 0x2f, 0xfd],
];

/** Returns true if a file is compressed in a way that the API reads. */
export async function isCompressed(file: Blob): Promise<boolean> {
  const beginning = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return compressions.some((magic) => magic.every((byte, i) => beginning[i] === byte));
}
