import { readFile, stat } from 'node:fs/promises';
import { GraftError } from '../errors.ts';

/** Larger files are refused before they are read: the largest tokenizer.json in use (Gemma 3) has 33 MB. */
const longestJson = 128 << 20;

/** A JSON object from a file; null when there is no such file. Throws GraftError `code` naming the file. */
export async function readJsonFile(path: string, code: string): Promise<Record<string, unknown> | null> {
  const value = await readJson(path, code);
  if (value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new GraftError(code, `${path} is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** Any JSON from a file; null when there is no such file. Throws GraftError `code` naming the file. */
export async function readJson(path: string, code: string): Promise<unknown> {
  const stats = await stat(path).catch(() => null);
  if (!stats) return null;
  if (stats.size > longestJson)
    throw new GraftError(code, `${path} has ${stats.size} bytes; at most ${longestJson} are read`);
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new GraftError(code, `${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/**
 * `json` with `.0` after a whole number where the same field of `original` has it: JavaScript drops the `.0`, and transformers 5
 * insists on it in fields that are floats.
 */
export function keepFloats(json: string, original: string): string {
  const floats = original.matchAll(/("(?:[^"\\]|\\.)*")\s*:\s*(-?\d+)\.0+(?=[\s,}\]])/g);
  const fields = new Set([...floats].map(([, name, whole]) => `${name}: ${whole}`));
  return json.replaceAll(/"(?:[^"\\]|\\.)*": -?\d+(?=[\s,}\]])/g, (field) =>
    fields.has(field) ? `${field}.0` : field,
  );
}

/** JSON as Python's `json.dump(…, indent=2, sort_keys=True)` writes it, where whole numbers in `floats` end in `.0`. */
export function pythonJson(fields: Record<string, unknown>, floats: string[] = []): string {
  return floats.reduce(
    (text, field) => text.replace(new RegExp(`("${field}": -?\\d+)(?=,?\\n)`), '$1.0'),
    JSON.stringify(sorted(fields), null, 2),
  );
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
