import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

const NEWLINE = 0x0a;

/** Copies the lines of a file except those with a number, from 1, in `left`. Throws where `to` exists. */
export async function writeCorrected(from: string, to: string, left: ReadonlySet<number>): Promise<void> {
  let line = 1;
  async function* kept(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      let start = 0;
      while (start < chunk.length) {
        const end = chunk.indexOf(NEWLINE, start);
        const next = end === -1 ? chunk.length : end + 1;
        if (!left.has(line)) yield chunk.subarray(start, next);
        if (end !== -1) line++;
        start = next;
      }
    }
  }
  await pipeline(createReadStream(from), kept, createWriteStream(to, { flags: 'wx' }));
}
