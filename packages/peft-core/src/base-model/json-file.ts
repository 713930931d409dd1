import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { GraftError } from '../errors.ts';
import { jsonExtent } from '../schema/json-extent.ts';
import { jsonFault } from '../schema/json-fault.ts';

/** What a file may have, in bytes and in values; more is refused before it is read, or parsed. */
interface JsonLimits {
  bytes: number;
  values: number;
}

const MiB = 1 << 20;
/** By file name. Of those in use Gemma 3's tokenizer.json is the largest, with 33 MB and two million values. */
const limits: Record<string, JsonLimits> = {
  'tokenizer.json': { bytes: 128 * MiB, values: 6_000_000 },
  'tokenizer_config.json': { bytes: 16 * MiB, values: 500_000 },
  'model.safetensors.index.json': { bytes: 32 * MiB, values: 500_000 },
};
const otherLimits: JsonLimits = { bytes: 4 * MiB, values: 200_000 };
/** Levels of nesting; those in use have some ten. */
const deepest = 64;

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
  if (!stats.isFile()) throw new GraftError(code, `${path} is not a file`);
  const most = limits[basename(path)] ?? otherLimits;
  if (stats.size > most.bytes)
    throw new GraftError(code, `${path} has ${stats.size} bytes; at most ${most.bytes} are read`);
  const text = await readFile(path, 'utf8');
  const { depth, values } = jsonExtent(text);
  if (depth > deepest)
    throw new GraftError(code, `${path} nests ${depth} levels deep; at most ${deepest} are read`);
  if (values > 2 * most.values)
    throw new GraftError(code, `${path} holds more than ${most.values} values, the most that are read`);
  try {
    return JSON.parse(text);
  } catch {
    throw new GraftError(code, `${path} is not JSON: ${jsonFault(text)}`);
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
