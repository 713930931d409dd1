import { type Paint, paintFor } from './draw/paint.ts';

/** Where a verb writes: results on stdout, progress and notes on stderr. */
export interface Output {
  json: boolean;
  /** For human-readable results. */
  paint: Paint;
  /** The result: one JSON document with --json, else what `human` makes. */
  result(value: unknown, human: () => string): void;
  /** One JSON line of several, with --json only. */
  line(value: unknown): void;
  /** News for a person, on stderr. */
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

/** What `human` makes of a result; not of the receipt that a key is answered which may write something and not read it. */
export function resultText(value: unknown, human: () => string): string {
  const { id, object, ...more } = (value ?? {}) as Record<string, unknown>;
  const isReceipt = typeof object === 'string' && Object.keys(more).length === 0;
  if (!isReceipt) return human();
  return `Done: ${id === undefined ? object : `${object} ${id}`}. This key may not read it.`;
}
