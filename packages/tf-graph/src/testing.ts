// For tests: compares hand-written gradients with finite differences, and measures the memory and devices of traced graphs.

import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { Graph } from './graph/graph.ts';
import { GraphSession } from './graph/graph-session.ts';
import { storageOf } from './ops/raw-op.ts';
import { tf } from './tensorflow.ts';

/** Allocations of one node, named as after TensorFlow's graph optimization. */
interface NodeAllocations {
  node: string;
  /** Bytes allocated, or freed if negative, with the system time in microseconds. */
  records: { time: number; bytes: number }[];
}

/** A node that ran, after TensorFlow placed and optimized the graph. */
interface PlacedNode {
  op: string;
  /** "/job:localhost/…/device:GPU:0". */
  device: string;
}

interface Allocations {
  /** Peak of the allocated bytes. The memory of a variable's value counts for the node that computed it. */
  peak: number;
  nodes: NodeAllocations[];
  /** All nodes, including those that copy between devices. */
  placed: PlacedNode[];
}

const SOFTWARE_TRACE = 1;

/** Returns the RunOptions of a traced run. */
function traced(inOneThread: boolean): Uint8Array {
  // output_partition_graphs: each device's part of the graph.
  const options = new BinaryWriter().tag(1, 0).int32(SOFTWARE_TRACE).tag(5, 0).bool(true);
  // inter_op_thread_pool: the calling thread runs all nodes.
  if (inOneThread) options.tag(3, 0).int32(-1);
  return options.finish();
}

/**
 * Reads allocations from RunMetadata (config.proto), which contains StepStats and AllocatorMemoryUsed (step_stats.proto) and NodeDef
 * (node_def.proto). `device`: only allocations on devices whose names contain it.
 */
function allocationsOf(metadata: Uint8Array, device = ''): Allocations {
  const nodes = fieldsOf(metadata, 1)
    .flatMap((steps) => fieldsOf(steps, 1))
    .filter((stats) => textOf(stats, 1).includes(device))
    .flatMap((stats) => fieldsOf(stats, 2))
    .map(nodeOf);
  const records = nodes.flatMap((node) => node.records).sort((a, b) => a.time - b.time || a.bytes - b.bytes);
  let [now, peak] = [0, 0];
  for (const { bytes } of records) {
    now += bytes;
    peak = Math.max(peak, now);
  }
  const placed = fieldsOf(metadata, 3)
    .flatMap((graph) => fieldsOf(graph, 1))
    .map((node) => ({ op: textOf(node, 2), device: textOf(node, 4) }));
  return { peak, nodes, placed };
}

function nodeOf(stats: Uint8Array): NodeAllocations {
  const records = fieldsOf(stats, 6)
    .flatMap((allocator) => fieldsOf(allocator, 6))
    .map((record) => ({ time: numberOf(record, 1), bytes: numberOf(record, 2) }));
  return { node: textOf(stats, 1), records };
}

/** Returns every message or string in a field. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === wanted) found.push(reader.bytes());
    else reader.skip(wire, field);
  }
  return found;
}

/** Returns a string field; empty if absent. */
const textOf = (message: Uint8Array, wanted: number): string =>
  new TextDecoder().decode(fieldsOf(message, wanted)[0]);

/** Returns an int64 field; 0 if absent. */
function numberOf(message: Uint8Array, wanted: number): number {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === wanted) return Number(reader.int64());
    reader.skip(wire, field);
  }
  return 0;
}

export type { Allocations };

export interface GradientCheck {
  /** Distance of the evaluation points; 0.01 balances float32 rounding and curvature. */
  step?: number;
  /** Largest error allowed, as a fraction of the input's largest gradient. */
  tolerance?: number;
  /** Number of elements tested per input, spread evenly; all if the input has fewer. */
  samples?: number;
}

/**
 * Compares the gradients of `f` with finite differences at `inputs`, under a fixed, uneven weighting of f's outputs. Inputs that are not
 * float32 (ids, masks) are passed through. Returns the largest relative error; throws an error that names the input and the element if it
 * exceeds the tolerance. Eager.
 */
export function checkGradients<I extends tf.Tensor[]>(
  f: (...inputs: I) => tf.Tensor,
  inputs: [...I],
  { step = 0.01, tolerance = 0.005, samples = 64 }: GradientCheck = {},
): number {
  return tf.tidy(() => {
    const free = inputs.flatMap((input, at) => (storageOf(input) === 'float32' ? [{ input, at }] : []));
    const output = f(...inputs);
    const weights = Float32Array.from({ length: output.size }, (_, i) => Math.cos(1 + 1.7 * i));
    const { grads: gradients } = tf.engine().gradients(
      () => f(...inputs),
      free.map(({ input }) => input),
      tf.tensor(weights, output.shape),
    );

    let worst = 0;
    free.forEach(({ input, at }, k) => {
      const gradient = gradients[k]!.dataSync();
      const values = Float32Array.from(input.dataSync());
      const objective = (element: number, value: number) =>
        tf.tidy(() => {
          const moved = values.slice();
          moved[element] = value;
          const others: [...I] = [...inputs];
          others[at] = tf.tensor(moved, input.shape);
          const result = f(...others).dataSync() as Float32Array;
          return result.reduce((sum, y, i) => sum + y * weights[i]!, 0);
        });
      const elements = spread(values.length, samples);
      // Five points: the error falls with the fourth power of the step.
      const numeric = elements.map((element) => {
        const x = values[element]!;
        const at = (steps: number) => objective(element, x + steps * step);
        return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step);
      });
      const scale = Math.max(1e-3, ...numeric.map(Math.abs), ...gradient.map(Math.abs));
      elements.forEach((element, n) => {
        const [got, expected] = [gradient[element]!, numeric[n]!];
        const error = Math.abs(got - expected) / scale;
        worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
        if (!(error <= tolerance))
          throw new Error(
            `gradient of input ${at}, element ${element}: ${got}, by finite differences ${expected}`,
          );
      });
    });
    return worst;
  });
}

const spread = (length: number, samples: number): number[] =>
  length <= samples
    ? Array.from({ length }, (_, i) => i)
    : Array.from({ length: samples }, (_, i) => Math.floor((i * length) / samples));

/** Counts the operations that `body` traces, by name. */
export async function tracedOperations(body: () => Promise<void> | void): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const { node } = Graph.prototype;
  Graph.prototype.node = function (op, ...rest) {
    counts.set(op, (counts.get(op) ?? 0) + 1);
    return node.call(this, op, ...rest);
  };
  try {
    await body();
  } finally {
    Graph.prototype.node = node;
  }
  return counts;
}

/**
 * Returns TensorFlow's allocations in each session run of `body`; the runs return no results. `inOneThread`: nodes run one after another,
 * in the order in which a GPU's work is enqueued. `device`: only allocations on devices whose names contain it.
 */
export async function tracedAllocations(
  body: () => Promise<unknown> | unknown,
  { inOneThread = true, device = '' } = {},
): Promise<Allocations[]> {
  const found: Allocations[] = [];
  const { run } = GraphSession.prototype;
  GraphSession.prototype.run = function (feeds, fetches) {
    found.push(allocationsOf(this.trace(feeds, fetches, traced(inOneThread)), device));
    return [];
  };
  try {
    await body();
  } finally {
    GraphSession.prototype.run = run;
  }
  return found;
}
