import { type Paint, paintFor } from './draw/paint.ts';

/** Output of a verb: results on stdout, progress and notes on stderr. */
export interface Output {
  json: boolean;
  paint: Paint;
  /** Prints the result: a JSON document with --json, otherwise the text of `human`. */
  result(value: unknown, human: () => string): void;
  /** Prints one of several JSON lines, only with --json. */
  line(value: unknown): void;
  /** Prints a message on stderr. */
  note(text: string): void;
}

export function createOutput(options: { json?: boolean }): Output {
  const json = options.json === true;
  const write = (text: string) => process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  return {
    json,
    paint: paintFor(process.stdout),
    result: (value, human) => void write(json ? JSON.stringify(value, null, 2) : resultText(value, human)),
    line: (value) => void (json && write(JSON.stringify(value))),
    note: (text) => void process.stderr.write(`${text}\n`),
  };
}

/**
 * The text of `human` for a result. A key that may write but not read something gets only a receipt (id and object), for which the
 * text is generic.
 */
export function resultText(value: unknown, human: () => string): string {
  const { id, object, ...more } = (value ?? {}) as Record<string, unknown>;
  const isReceipt = typeof object === 'string' && Object.keys(more).length === 0;
  if (!isReceipt) return human();
  return `Done: ${id === undefined ? object : `${object} ${id}`}. This key may not read it.`;
}
