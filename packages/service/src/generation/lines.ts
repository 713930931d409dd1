import { Value } from 'typebox/value';
import { type GenerationLine, GenerationLineSchema } from './protocol.ts';

/** Longest line of an answer, in characters: far above one token's. */
const maxLine = 1024 * 1024;

export function encodeLine(line: GenerationLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** The lines of an answer. Throws for what is none. */
export async function* decodeLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<GenerationLine> {
  for await (const text of textLines(body)) {
    const line: unknown = JSON.parse(text);
    if (!Value.Check(GenerationLineSchema, line)) throw new Error('not a line of an answer');
    yield line;
  }
}

/** The lines of a stream of UTF-8, without their ends; empty ones are left out. */
async function* textLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLine) throw new Error('a line without end');
    for (const line of lines) if (line !== '') yield line;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

/** Resolves once the first of `values` is there, which is the first of what it returns. Throws what comes before it. */
export async function startReading<T>(values: AsyncGenerator<T>): Promise<AsyncGenerator<T>> {
  const first = await values.next();
  async function* all(): AsyncGenerator<T> {
    try {
      if (first.done) return;
      yield first.value;
      yield* values;
    } finally {
      await values.return(undefined);
    }
  }
  return all();
}
