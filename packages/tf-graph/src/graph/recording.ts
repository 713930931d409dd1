// Records the nodes of a program's graph, for checks that analyse a graph instead of running it: which ops have a kernel on a device, and
// the peak memory. Nothing is recorded outside of `recordFunctions`.
import { type DType, dtypeOfCode } from '../dtypes.ts';
import type { InferredOutput } from '../tensorflow.ts';
import type { NodeAttr } from './attributes.ts';
import type { NodeInput } from './graph-session.ts';

export interface RecordedOutput {
  /** `resource`: a variable's handle, which holds no numbers. */
  dtype: DType | 'resource';
  /** -1 is an unknown size; null: the rank is unknown. */
  shape: number[] | null;
}

/** A node as it was added to a session, before TensorFlow optimizes the graph. */
export interface RecordedNode {
  name: string;
  op: string;
  /** Each "node:output"; the elements of list inputs are separate entries. */
  inputs: string[];
  /** Names of the nodes that must run first. */
  controls: string[];
  attrs: readonly NodeAttr[];
  outputs: RecordedOutput[];
}

/** A function of a program with the nodes that a run of it needs, each after its inputs. */
export interface RecordedFunction {
  name: string;
  /** Each "node:0". */
  feeds: string[];
  fetches: string[];
  nodes: RecordedNode[];
}

class GraphRecord {
  readonly #nodes = new Map<string, RecordedNode>();
  readonly #functions: Omit<RecordedFunction, 'nodes'>[] = [];

  add(
    op: string,
    name: string,
    given: readonly NodeInput[],
    attrs: readonly NodeAttr[],
    inferred: readonly InferredOutput[],
  ): void {
    const all = given.flat();
    const controls = all.filter((input) => input.startsWith('^')).map((input) => input.slice(1));
    const inputs = all.filter((input) => !input.startsWith('^'));
    const outputs = inferred.map(({ dtype, shape }) => ({ dtype: storedAs(dtype), shape }));
    this.#nodes.set(name, { name, op, inputs, controls, attrs, outputs });
  }

  addFunction(name: string, feeds: string[], fetches: string[]): void {
    this.#functions.push({ name, feeds, fetches });
  }

  functions(): RecordedFunction[] {
    return this.#functions.map((fn) => ({ ...fn, nodes: this.#needed(fn.fetches) }));
  }

  /** Returns the needed nodes. They were added after their inputs, so the order of addition is a valid order of execution. */
  #needed(fetches: readonly string[]): RecordedNode[] {
    const needed = new Set<string>();
    const open = fetches.map(nodeOf);
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (needed.has(name)) continue;
      needed.add(name);
      const { inputs, controls } = this.#nodes.get(name)!;
      open.push(...inputs.map(nodeOf), ...controls);
    }
    return [...this.#nodes.values()].filter(({ name }) => needed.has(name));
  }
}

export type { GraphRecord };

/** DT_RESOURCE of types.proto. */
const RESOURCE = 20;
const storedAs = (code: number): DType | 'resource' => (code === RESOURCE ? 'resource' : dtypeOfCode(code));

/** Returns the node of "node:output". */
export const nodeOf = (ref: string): string => ref.slice(0, ref.lastIndexOf(':'));

let records: GraphRecord[] | null = null;

/** Returns the record for a new graph; null if nothing is recorded. */
export function recordOfGraph(): GraphRecord | null {
  if (!records) return null;
  const record = new GraphRecord();
  records.push(record);
  return record;
}

/** Returns the functions of every program that `body` builds, in order. Only one call at a time. */
export async function recordFunctions(body: () => Promise<unknown>): Promise<RecordedFunction[]> {
  if (records) throw new Error('graphs are being recorded already');
  const own: GraphRecord[] = [];
  records = own;
  try {
    await body();
  } finally {
    records = null;
  }
  return own.flatMap((record) => record.functions());
}
