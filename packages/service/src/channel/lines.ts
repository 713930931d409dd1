import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import type { GenerationLine } from './protocol.ts';
import type { ScoringLine } from './score-protocol.ts';

/** Maximum line length of a response, in characters. A token takes far less; the words of a text take this much. */
const maxLine = 4 * 1024 * 1024;

export function encodeLine(line: GenerationLine | ScoringLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Parses the lines of a response. Throws for a line that does not match the protocol. */
export async function* decodeLines<Schema extends TSchema>(
  body: AsyncIterable<Uint8Array>,
  schema: Schema,
): AsyncGenerator<Static<Schema>> {
  for await (const text of textLines(body)) {
    const line = parseLine(text);
    if (!Value.Check(schema, line)) throw new Error('not a line of an answer');
    yield line;
  }
}

/** Returns null for text that is not JSON: a thrown error would quote it, and it may be part of an answer. */
function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Splits a UTF-8 stream into lines without their terminators; skips empty lines. */
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

/** Resolves to `values` once the first value is available. Throws the errors that occur before that. */
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
