// Estimates the peak memory of a recorded function. Walks over its nodes in the order in which TensorFlow's executor runs them if each node
// only enqueues work of a device, as on a GPU: in one thread, first in, first out. A node is ready once its last input or control input is,
// and is queued behind nodes that were ready before; nodes without inputs come first, in the order in which they were added. With more
// threads, as on a CPU, the order may differ wherever no node waits for another.
import { bytesOf, dtypeOfCode, sizeOf } from '../dtypes.ts';
import type { Attr } from './attributes.ts';
import { aliasedInput, isFolded, overwritableInputs } from './buffer-sharing.ts';
import { nodeOf, type RecordedFunction, type RecordedNode, type RecordedOutput } from './recording.ts';

export interface LiveTensor {
  /** Node whose output allocated the memory. */
  node: string;
  op: string;
  dtype: string;
  shape: number[];
  bytes: number;
}

export interface LiveMemory {
  /** Bytes of the variables that the function accesses, and of its constants. They live as long as the session. */
  variables: number;
  constants: number;
  /** Peak of the other bytes, including fed values. */
  peak: number;
  /** The node that runs at the peak. */
  at: string;
  /** Tensors that are live at the peak, the largest first. */
  live: LiveTensor[];
}

export interface LiveOptions {
  /** Bytes to which each allocation is rounded up: 256 in TensorFlow's allocator for GPUs. */
  granularity?: number;
}

/** A memory block that tensors share. */
interface Buffer extends LiveTensor {
  kind: 'temporary' | 'variable' | 'constant';
  /** Number of inputs of nodes that have not run yet, plus holders that never release the block. */
  holders: number;
}

export function liveMemory(fn: RecordedFunction, { granularity = 256 }: LiveOptions = {}): LiveMemory {
  return new Walk(mergeEqual(fn), granularity).run();
}

class Walk {
  readonly #fn: RecordedFunction;
  readonly #granularity: number;
  readonly #byName: Map<string, RecordedNode>;
  /** Number of readers of each output. */
  readonly #readers = new Map<string, number>();
  /** Keyed by "node:output". */
  readonly #buffers = new Map<string, Buffer>();
  /** Buffers of variables, keyed by their handles. */
  readonly #variables = new Map<string, Buffer>();
  readonly #live = new Set<Buffer>();
  #now = 0;

  constructor(fn: RecordedFunction, granularity: number) {
    this.#fn = fn;
    this.#granularity = granularity;
    this.#byName = new Map(fn.nodes.map((node) => [node.name, node]));
    for (const ref of [...fn.nodes.flatMap(({ inputs }) => inputs), ...fn.fetches])
      this.#readers.set(ref, (this.#readers.get(ref) ?? 0) + 1);
  }

  run(): LiveMemory {
    let [peak, at] = [-1, ''];
    let live: Buffer[] = [];
    for (const node of inOrder(this.#fn.nodes)) {
      this.#begin(node);
      if (this.#now > peak) {
        [peak, at] = [this.#now, node.name];
        live = [...this.#live];
      }
      this.#end(node);
    }
    const all = [...new Set([...this.#variables.values(), ...this.#buffers.values()])];
    const sum = (kind: Buffer['kind']) =>
      all.reduce((sum, buffer) => sum + (buffer.kind === kind ? buffer.bytes : 0), 0);
    return {
      variables: sum('variable'),
      constants: sum('constant'),
      peak,
      at,
      live: live
        .sort((a, b) => b.bytes - a.bytes)
        .map(({ node, op, dtype, shape, bytes }) => ({ node, op, dtype, shape, bytes })),
    };
  }

  /** Allocates the outputs while the inputs are still live. */
  #begin(node: RecordedNode): void {
    node.outputs.forEach((output, i) => {
      const ref = `${node.name}:${i}`;
      const buffer = this.#bufferFor(node, output, i);
      if (!buffer) return;
      this.#buffers.set(ref, buffer);
      buffer.holders += this.#readers.get(ref) ?? 0;
      if (buffer.kind === 'temporary') this.#allocate(buffer);
    });
  }

  #end({ name, op, inputs, outputs }: RecordedNode): void {
    // The assigned value replaces the variable's old value, which has the same size and is freed.
    if (op === 'AssignVariableOp') this.#free(this.#buffers.get(inputs[1]!)!);
    for (const ref of inputs) {
      const buffer = this.#buffers.get(ref);
      if (buffer) this.#release(buffer);
    }
    outputs.forEach((_, i) => {
      const buffer = this.#buffers.get(`${name}:${i}`);
      if (buffer?.holders === 0) this.#free(buffer);
    });
  }

  #release(buffer: Buffer): void {
    buffer.holders--;
    if (buffer.holders === 0) this.#free(buffer);
  }

  #allocate(buffer: Buffer): void {
    if (this.#live.has(buffer)) return;
    this.#live.add(buffer);
    this.#now += buffer.bytes;
  }

  #free(buffer: Buffer): void {
    if (this.#live.delete(buffer)) this.#now -= buffer.bytes;
  }

  /** Returns null for an output without memory: a variable's handle. */
  #bufferFor(node: RecordedNode, output: RecordedOutput, i: number): Buffer | null {
    const { op, inputs } = node;
    if (op === 'VarHandleOp') {
      const value = (name: string) => (node.attrs.find((each) => each.name === name) as Attr).value;
      const variable = { dtype: dtypeOfCode(value('dtype') as number), shape: value('shape') as number[] };
      this.#variables.set(`${node.name}:0`, this.#made(node, variable, 'variable'));
      return null;
    }
    if (output.dtype === 'resource') return null;
    if (op === 'ReadVariableOp') return this.#variables.get(inputs[0]!)!;
    const given = inputs.map((ref) => this.#buffers.get(ref));
    const own = this.#made(node, output, 'temporary');
    // Fed values live until the run ends.
    if (op === 'Placeholder') return { ...own, holders: 1 };
    if (op === 'Const' || (isFolded(node, own.bytes) && given.every((each) => each?.kind === 'constant')))
      return { ...own, kind: 'constant' };
    const shared = aliasedInput(node, i, (ref) => this.#outputOf(ref));
    if (shared !== null && given[shared]) return given[shared];
    const taken = overwritableInputs(node, i).find((at) => this.#canBeTaken(node, at, output));
    return taken === undefined ? own : given[taken]!;
  }

  /** Returns whether this node is the last user of an input whose memory fits its output exactly. */
  #canBeTaken({ inputs }: RecordedNode, at: number, output: RecordedOutput): boolean {
    const ref = inputs[at]!;
    const buffer = this.#buffers.get(ref);
    const input = this.#outputOf(ref);
    return (
      buffer?.kind === 'temporary' &&
      buffer.holders === 1 &&
      input.dtype === output.dtype &&
      sizeOf(input.shape ?? []) === sizeOf(output.shape ?? [])
    );
  }

  #outputOf(ref: string): RecordedOutput {
    return this.#byName.get(nodeOf(ref))!.outputs[Number(ref.slice(ref.lastIndexOf(':') + 1))]!;
  }

  #made({ name, op }: RecordedNode, { dtype, shape }: RecordedOutput, kind: Buffer['kind']): Buffer {
    if (!shape || shape.includes(-1)) throw new Error(`${name} has no static shape: its memory is not known`);
    const exact = dtype === 'resource' ? 0 : sizeOf(shape) * bytesOf(dtype);
    const bytes = Math.ceil(exact / this.#granularity) * this.#granularity;
    return { node: name, op, dtype, shape, bytes, kind, holders: 0 };
  }
}

/** Yields the nodes in the order of the executor. */
function* inOrder(nodes: readonly RecordedNode[]): Generator<RecordedNode> {
  const after = new Map<string, RecordedNode[]>(nodes.map(({ name }) => [name, []]));
  const missing = new Map<string, number>();
  for (const control of [false, true])
    for (const node of nodes)
      for (const before of control ? node.controls : node.inputs.map(nodeOf)) {
        after.get(before)!.push(node);
        missing.set(node.name, (missing.get(node.name) ?? 0) + 1);
      }
  const ready = nodes.filter(({ name }) => !missing.has(name));
  for (let at = 0; at < ready.length; at++) {
    const node = ready[at]!;
    yield node;
    for (const next of after.get(node.name)!) {
      const left = missing.get(next.name)! - 1;
      missing.set(next.name, left);
      if (left === 0) ready.push(next);
    }
  }
}

/** Ops that are never merged: they are fed, hold a value, or read a value that may change. */
const STATEFUL = /^(Placeholder|VarHandleOp|ReadVariableOp|Assign|Resource|Random|Graft)/;

/**
 * Merges nodes that compute the same, with the same op, inputs, attributes and control inputs, as TensorFlow does before it runs a graph.
 */
function mergeEqual(fn: RecordedFunction): RecordedFunction {
  const known = new Map<string, string>();
  /** The node that replaces each node. */
  const names = new Map<string, string>();
  const mergedRef = (ref: string) => {
    const node = nodeOf(ref);
    return names.get(node)! + ref.slice(node.length);
  };
  const nodes: RecordedNode[] = [];
  for (const node of fn.nodes) {
    const inputs = node.inputs.map(mergedRef);
    const controls = [...new Set(node.controls.map((name) => names.get(name)!))];
    const own = { ...node, inputs, controls };
    const key = STATEFUL.test(node.op) || node.op === 'Const' ? node.name : keyOf(own);
    const same = known.get(key);
    names.set(node.name, same ?? node.name);
    if (same) continue;
    known.set(key, node.name);
    nodes.push(own);
  }
  return { ...fn, nodes, fetches: fn.fetches.map(mergedRef) };
}

const keyOf = ({ op, inputs, controls, attrs }: RecordedNode): string =>
  JSON.stringify([op, inputs, [...controls].sort(), attrs]);
