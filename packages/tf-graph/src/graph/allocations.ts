// Memory that TensorFlow's allocators used in one run of a session, and the devices of its nodes, from the metadata of a traced run.
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';

/** Allocations of one node, named as after TensorFlow's graph optimization. */
export interface NodeAllocations {
  node: string;
  /** Bytes allocated, or freed if negative, with the system time in microseconds. */
  records: { time: number; bytes: number }[];
}

/** A node that ran, after TensorFlow placed and optimized the graph. */
export interface PlacedNode {
  op: string;
  /** "/job:localhost/…/device:GPU:0". */
  device: string;
}

export interface Allocations {
  /** Peak of the allocated bytes. The memory of a variable's value counts for the node that computed it. */
  peak: number;
  nodes: NodeAllocations[];
  /** All nodes, including those that copy between devices. */
  placed: PlacedNode[];
}

const SOFTWARE_TRACE = 1;

/** Returns the RunOptions of a traced run. */
export function traced(inOneThread: boolean): Uint8Array {
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
export function allocationsOf(metadata: Uint8Array, device = ''): Allocations {
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
