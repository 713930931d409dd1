import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { GraftError } from '../errors.ts';
import { jsonExtent } from '../schema/json-extent.ts';
import { jsonFault } from '../schema/json-fault.ts';

/** Maximum size of a file in bytes, checked before reading, and in JSON values, checked before parsing. */
interface JsonLimits {
  bytes: number;
  values: number;
}

const MiB = 1 << 20;
/** By file name. The largest in practice is a tokenizer.json with 33 MB and two million values. */
const limits: Record<string, JsonLimits> = {
  'tokenizer.json': { bytes: 128 * MiB, values: 6_000_000 },
  'tokenizer_config.json': { bytes: 16 * MiB, values: 500_000 },
  'model.safetensors.index.json': { bytes: 32 * MiB, values: 500_000 },
};
const otherLimits: JsonLimits = { bytes: 4 * MiB, values: 200_000 };
/** Maximum nesting depth; files in practice have about ten levels. */
const deepest = 64;

/** Reads a JSON object from a file; null if the file does not exist. Throws GraftError `code`, which names the file. */
export async function readJsonFile(path: string, code: string): Promise<Record<string, unknown> | null> {
  const value = await readJson(path, code);
  if (value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new GraftError(code, `${path} is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** Reads any JSON value from a file; null if the file does not exist. Throws GraftError `code`, which names the file. */
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
 * Adds `.0` to integers in `json` where the same field of `original` has it, or a list with the same items: JavaScript drops the `.0`,
 * and transformers 5 requires it in float fields.
 */
export function keepFloats(json: string, original: string): string {
  const floats = original.matchAll(/("(?:[^"\\]|\\.)*")\s*:\s*(-?\d+)\.0+(?=[\s,}\]])/g);
  const fields = new Set([...floats].map(([, name, whole]) => `${name}: ${whole}`));
  const lists = new Map([...original.matchAll(LISTS)].map((list) => [withoutFloats(list[0]), list[0]]));
  return json
    .replaceAll(/"(?:[^"\\]|\\.)*": -?\d+(?=[\s,}\]])/g, (field) =>
      fields.has(field) ? `${field}.0` : field,
    )
    .replaceAll(LISTS, (list) => lists.get(withoutFloats(list)) ?? list);
}

/** Fields whose values are lists without lists in them. */
const LISTS = /"(?:[^"\\]|\\.)*"\s*:\s*\[[^[\]]*\]/g;
const withoutFloats = (list: string): string =>
  list.replaceAll(/\s+/g, '').replaceAll(/(?<=[[,]-?\d+)\.0+(?=[,\]])/g, '');

/** JSON in the format of Python's `json.dump(…, indent=2, sort_keys=True)`. Integers in the fields `floats` end in `.0`. */
export function pythonJson(fields: Record<string, unknown>, floats: string[] = []): string {
  return floats.reduce(
    (text, field) =>
      text.replace(
        new RegExp(`("${field}": )(-?\\d[^,\\n]*)`, 'g'),
        (_, key: string, value: string) => key + pythonFloat(Number(value)),
      ),
    JSON.stringify(sorted(fields), null, 2),
  );
}

/** A float as Python writes it: 0.0 and 6e-05, where JavaScript writes 0 and 0.00006. */
function pythonFloat(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16))
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
