// What a program's graph is made of, for checks that read a graph instead of running it: which ops have a kernel on a device, and how
// much is in memory at once. Nothing is recorded unless somebody asks for it.
import { type DType, dtypeOfCode } from '../dtypes.ts';
import type { InferredOutput } from '../tensorflow.ts';
import type { NodeAttr } from './attributes.ts';
import type { NodeInput } from './graph-session.ts';

export interface RecordedOutput {
  /** `resource`: a variable's handle, which holds no numbers. */
  dtype: DType | 'resource';
  /** -1 is a size that is not known; null: not even the rank is. */
  shape: number[] | null;
}

/** A node as it was added to a session, before TensorFlow optimizes the graph. */
export interface RecordedNode {
  name: string;
  op: string;
  /** "node:output" each; those of a list lie beside the others. */
  inputs: string[];
  /** Names of the nodes that run first. */
  controls: string[];
  attrs: readonly NodeAttr[];
  outputs: RecordedOutput[];
}

/** A function of a program with the nodes that a run of it needs, each after its inputs. */
export interface RecordedFunction {
  name: string;
  /** "node:0" each. */
  feeds: string[];
  fetches: string[];
  nodes: RecordedNode[];
}

/** What is recorded of one program's graph. */
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

  /** Nodes are added after their inputs, so the order of adding is one in which they can run. */
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

/** The node of "node:output". */
export const nodeOf = (ref: string): string => ref.slice(0, ref.lastIndexOf(':'));

let records: GraphRecord[] | null = null;

/** The record of a graph that is begun now; null where nothing is recorded. */
export function recordOfGraph(): GraphRecord | null {
  if (!records) return null;
  const record = new GraphRecord();
  records.push(record);
  return record;
}

/** The functions of every program that `body` builds, in the order in which they were built. One body at a time. */
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
