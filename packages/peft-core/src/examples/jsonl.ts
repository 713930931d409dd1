import { GraftError } from '../errors.ts';
import { jsonExtent } from '../schema/json-extent.ts';
import { jsonFault } from '../schema/json-fault.ts';
import { BadLines } from './bad-lines.ts';
import { type FormatName, formatOf, type RawExample } from './formats/formats.ts';
import { readLine, unstorableText } from './read-line.ts';

/** Maximum length of a line in bytes: more than the longest context, and the limit of the checker's memory. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;
/** Maximum nesting depth of a line. Valid examples have three levels. */
const MAX_LINE_DEPTH = 64;
/** Shorter lines cannot nest deeply enough to be expensive. */
const DEEP_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

export interface DatasetSummary {
  format: FormatName;
  /** Number of examples; empty lines are not counted. */
  examples: number;
  /** Total characters that a language model is trained to generate; 0 for formats of other models. */
  answerCharacters: number;
  /** The system message of every example; null if they differ, there is none, or it is longer than 16,384 characters. */
  systemPrompt: string | null;
}

export interface JsonlChecker {
  /** Adds the next bytes of the file, split anywhere. */
  write(chunk: Uint8Array): void;
  /** Throws GraftError `invalid_jsonl` with every bad line, or `empty_file`. */
  end(): DatasetSummary;
}

/**
 * Checks a training file while it is uploaded. Keeps one line and the list of bad ones in memory, never the file. `onBadLine` receives
 * the number of every bad line, including those beyond the limit of the error's list.
 */
export function createJsonlChecker(
  onExample: (example: RawExample) => void = () => {},
  onBadLine: (line: number) => void = () => {},
): JsonlChecker {
  const bad = new BadLines();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 0;
  let examples = 0;
  let answerCharacters = 0;
  let systemPrompt: string | null = null;
  let format: { name: FormatName; line: number } | null = null;
  let held: Uint8Array[] = [];
  let heldBytes = 0;

  function finishLine(rest: Uint8Array): void {
    line++;
    const bytes = heldBytes + rest.length;
    const parts = [...held, rest];
    held = [];
    heldBytes = 0;
    const fault =
      bytes > MAX_LINE_BYTES
        ? `is longer than ${MAX_LINE_BYTES} bytes`
        : takeLine(parts.length === 1 ? rest : Buffer.concat(parts));
    if (fault === null) return;
    bad.add(line, fault);
    onBadLine(line);
  }

  /** Checks a whole line; returns its fault, or null. */
  function takeLine(bytes: Uint8Array): string | null {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      return 'is not valid UTF-8';
    }
    if (text.trim() === '') return null;
    if (bytes.length > DEEP_LINE_BYTES && jsonExtent(text).depth > MAX_LINE_DEPTH)
      return `nests deeper than ${MAX_LINE_DEPTH} levels`;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return `is not valid JSON: ${jsonFault(text)}`;
    }
    const example = readLine(value, line);
    if (typeof example === 'string') return example;
    // Only a \u escape can produce characters that valid UTF-8 cannot contain.
    if (text.includes('\\u')) {
      const fault = unstorableText(example);
      if (fault) return fault;
    }
    format ??= { name: example.format, line };
    if (example.format !== format.name) {
      return `is a ${example.format} example, but line ${format.line} is a ${format.name} example`;
    }
    const system = systemPromptOf(example);
    systemPrompt = examples === 0 || system === systemPrompt ? system : null;
    examples++;
    answerCharacters += formatOf(example.format).answerLength?.(example) ?? 0;
    onExample(example);
    return null;
  }

  return {
    write(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        finishLine(chunk.subarray(start, end));
        start = end + 1;
      }
      const rest = chunk.subarray(start);
      // Only the length of a line that is already too long matters.
      if (rest.length > 0 && heldBytes <= MAX_LINE_BYTES) held.push(rest.slice());
      heldBytes += rest.length;
      if (heldBytes > MAX_LINE_BYTES) held = [];
    },
    end() {
      if (heldBytes > 0) finishLine(new Uint8Array(0));
      if (bad.count > 0) throw bad.error('invalid_jsonl');
      if (format === null) throw new GraftError('empty_file', 'the file holds no examples');
      return { format: format.name, examples, answerCharacters, systemPrompt };
    },
  };
}

/** Longer system prompts are not stored with a file, a job or a version. */
const LONGEST_SYSTEM_PROMPT = 16 * 1024;

/** Also null for a prompt that Postgres cannot store because it contains U+0000. */
function systemPromptOf(example: RawExample): string | null {
  const prompt = formatOf(example.format).systemPrompt?.(example) ?? '';
  const isKept = prompt !== '' && prompt.length <= LONGEST_SYSTEM_PROMPT && !prompt.includes('\0');
  return isKept ? prompt : null;
}

/** Reads a whole training file. Throws as JsonlChecker.end does. */
export function parseJsonl(
  file: Uint8Array | Iterable<string>,
): Omit<DatasetSummary, 'examples'> & { examples: RawExample[] } {
  const examples: RawExample[] = [];
  const checker = createJsonlChecker((example) => examples.push(example));
  if (file instanceof Uint8Array) checker.write(file);
  else for (const line of file) checker.write(Buffer.from(`${line}\n`));
  return { ...checker.end(), examples };
}
