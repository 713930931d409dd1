import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { UsageError } from '../../errors.ts';

/** Requests stay below the API's limits on inputs and bytes. */
const most = { texts: 512, characters: 200_000 };

export type TextInput = string | string[];

/**
 * The texts of the arguments, or of a JSONL file (`-`: stdin) with {"text"} or {"tokens"} in each line, in groups for one request. Throws
 * UsageError, which names the line.
 */
export async function* readTexts(
  texts: readonly string[],
  input: string | undefined,
): AsyncGenerator<TextInput[]> {
  if ((texts.length === 0) === (input === undefined))
    throw new UsageError('Pass texts as arguments, or a file with --input.');
  let group: TextInput[] = [];
  let characters = 0;
  for await (const text of input === undefined ? texts : linesOf(input)) {
    const length = typeof text === 'string' ? text.length : text.join(' ').length;
    const isOther = group.length > 0 && Array.isArray(text) !== Array.isArray(group[0]);
    if (
      isOther ||
      group.length === most.texts ||
      (group.length > 0 && characters + length > most.characters)
    ) {
      yield group;
      group = [];
      characters = 0;
    }
    group.push(text);
    characters += length;
  }
  if (group.length > 0) yield group;
}

async function* linesOf(path: string): AsyncGenerator<TextInput> {
  const source = path === '-' ? process.stdin : createReadStream(path);
  let line = 0;
  for await (const text of createInterface({ input: source, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text.trim() !== '') yield inputOf(text, `${path === '-' ? 'stdin' : path}, line ${line}`);
  }
}

function inputOf(text: string, place: string): TextInput {
  let value: { text?: unknown; tokens?: unknown } | null;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${place} is not JSON: ${(error as Error).message}`);
  }
  const { text: own, tokens } = value ?? {};
  if (typeof own === 'string' && own !== '') return own;
  if (Array.isArray(tokens) && tokens.length > 0 && tokens.every((each) => typeof each === 'string'))
    return tokens;
  throw new UsageError(`${place} must have "text", or "tokens", the words of a text.`);
}
