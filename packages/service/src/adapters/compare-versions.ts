import type { AdapterFile } from '../storage/artifact-store.ts';
import type { AdapterVersion } from './adapter.ts';

/** A value that differs: its path and both values; undefined where a side has none. */
interface Difference {
  field: string;
  a?: unknown;
  b?: unknown;
}

interface MetricPair {
  name: string;
  a: number | null;
  b: number | null;
  /** b − a; null where a side has none. */
  difference: number | null;
}

interface FilePair {
  path: string;
  status: 'same' | 'changed' | 'only_a' | 'only_b';
  a: Omit<AdapterFile, 'path'> | null;
  b: Omit<AdapterFile, 'path'> | null;
}

export interface Comparison {
  /** True where both have the same files, byte for byte. */
  identical: boolean;
  /** Options of the PEFT method that differ. */
  config: Difference[];
  /** The other training inputs that differ: base model, data, training settings, code. */
  lineage: Difference[];
  metrics: MetricPair[];
  files: FilePair[];
}

/** Maximum number of values in each list. */
const most = 1000;

/** Returns the differences between two versions. The cost is proportional to the size of their rows. */
export function compareVersions(a: AdapterVersion, b: AdapterVersion): Comparison {
  // The lineage repeats the configuration.
  const { peft: _ofA, ...lineageA } = a.lineage;
  const { peft: _ofB, ...lineageB } = b.lineage;
  return {
    identical: a.digest === b.digest,
    config: differences(a.peft, b.peft),
    lineage: differences(lineageA, lineageB),
    metrics: metricPairs(a.metrics ?? {}, b.metrics ?? {}),
    files: filePairs(a.files, b.files),
  };
}

function differences(a: object, b: object): Difference[] {
  const [ofA, ofB] = [leavesOf(a), leavesOf(b)];
  const found: Difference[] = [];
  for (const field of [...new Set([...ofA.keys(), ...ofB.keys()])].sort()) {
    const [left, right] = [ofA.get(field), ofB.get(field)];
    if (JSON.stringify(left) === JSON.stringify(right)) continue;
    found.push({
      field,
      ...(left === undefined ? {} : { a: left }),
      ...(right === undefined ? {} : { b: right }),
    });
  }
  return found.slice(0, most);
}

function metricPairs(a: object, b: object): MetricPair[] {
  const [ofA, ofB] = [leavesOf(a), leavesOf(b)];
  const names = [...new Set([...ofA.keys(), ...ofB.keys()])].sort();
  const pairs = names.map((name): MetricPair => {
    const [left, right] = [numberOf(ofA.get(name)), numberOf(ofB.get(name))];
    return { name, a: left, b: right, difference: left === null || right === null ? null : right - left };
  });
  return pairs.filter((pair) => pair.a !== null || pair.b !== null).slice(0, most);
}

const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null);

function filePairs(a: readonly AdapterFile[], b: readonly AdapterFile[]): FilePair[] {
  const [ofA, ofB] = [byPath(a), byPath(b)];
  return [...new Set([...ofA.keys(), ...ofB.keys()])].sort().map((path) => {
    const [left, right] = [ofA.get(path) ?? null, ofB.get(path) ?? null];
    const status = !left ? 'only_b' : !right ? 'only_a' : left.sha256 === right.sha256 ? 'same' : 'changed';
    return { path, status, a: left, b: right };
  });
}

function byPath(files: readonly AdapterFile[]): Map<string, Omit<AdapterFile, 'path'>> {
  return new Map(files.map(({ path, bytes, sha256 }) => [path, { bytes, sha256 }]));
}

/** Maps the dotted path of each leaf to its value. An array counts as a value, since its elements have no names. */
function leavesOf(value: object): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  const walk = (part: unknown, path: string) => {
    if (typeof part === 'object' && part !== null && !Array.isArray(part) && Object.keys(part).length > 0)
      for (const [key, inner] of Object.entries(part)) walk(inner, path === '' ? key : `${path}.${key}`);
    else if (path !== '') leaves.set(path, part);
  };
  walk(value, '');
  return leaves;
}
