import { readJsonLines } from './containers/jsonl.ts';
import type { RawExample } from './formats/formats.ts';
import { type DatasetSummary, RowChecker } from './row-checker.ts';

export interface JsonlChecker {
  /** Adds the next bytes of the file, split anywhere. */
  write(chunk: Uint8Array): void;
  /** Throws GraftError `invalid_jsonl` with every bad line, `unknown_shape`, or `empty_file`. */
  end(): DatasetSummary;
}

/**
 * Checks JSON lines, where a file is known to have them; `readDataFile` reads files of every kind. `onBadLine` receives the number of
 * every bad line, including those beyond the limit of the error's list.
 */
export function createJsonlChecker(
  onExample: (example: RawExample) => void = () => {},
  onBadLine: (line: number) => void = () => {},
): JsonlChecker {
  const checker = new RowChecker({ onExample, onBadLine });
  const reader = readJsonLines(checker);
  return {
    write: reader.write,
    end() {
      reader.end();
      return checker.end();
    },
  };
}

/** Reads JSON lines in memory. Throws as JsonlChecker.end does. */
export function parseJsonl(
  file: Uint8Array | Iterable<string>,
): Omit<DatasetSummary, 'examples'> & { examples: RawExample[] } {
  const examples: RawExample[] = [];
  const checker = createJsonlChecker((example) => examples.push(example));
  if (file instanceof Uint8Array) checker.write(file);
  else for (const line of file) checker.write(Buffer.from(`${line}\n`));
  return { ...checker.end(), examples };
}
