// What TensorFlow's allocators did in one run of a session, from the statistics that a traced run gives.
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';

/** Of one node, as it was named after TensorFlow optimized the graph. */
export interface NodeAllocations {
  node: string;
  /** Bytes that were taken, or given back where they are negative; microseconds of the system's clock. */
  records: { time: number; bytes: number }[];
}

export interface Allocations {
  /** The most that was taken and not given back at once, in bytes. What a variable keeps counts from the node that made it. */
  peak: number;
  nodes: NodeAllocations[];
}

const SOFTWARE_TRACE = 1;

/** RunOptions of a traced run. */
export function traced(inOneThread: boolean): Uint8Array {
  const options = new BinaryWriter().tag(1, 0).int32(SOFTWARE_TRACE);
  // inter_op_thread_pool: the thread that called runs all nodes.
  if (inOneThread) options.tag(3, 0).int32(-1);
  return options.finish();
}

/** From RunMetadata (config.proto), StepStats and AllocatorMemoryUsed (step_stats.proto). */
export function allocationsOf(metadata: Uint8Array): Allocations {
  const nodes = fieldsOf(metadata, 1)
    .flatMap((steps) => fieldsOf(steps, 1))
    .flatMap((device) => fieldsOf(device, 2))
    .map(nodeOf);
  const records = nodes.flatMap((node) => node.records).sort((a, b) => a.time - b.time || a.bytes - b.bytes);
  let [now, peak] = [0, 0];
  for (const { bytes } of records) {
    now += bytes;
    peak = Math.max(peak, now);
  }
  return { peak, nodes };
}

function nodeOf(stats: Uint8Array): NodeAllocations {
  const [name] = fieldsOf(stats, 1);
  const records = fieldsOf(stats, 6)
    .flatMap((allocator) => fieldsOf(allocator, 6))
    .map((record) => ({ time: numberOf(record, 1), bytes: numberOf(record, 2) }));
  return { node: new TextDecoder().decode(name), records };
}

/** Every message or string in a field. */
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

/** Of an int64; 0 where it is not there. */
function numberOf(message: Uint8Array, wanted: number): number {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === wanted) return Number(reader.int64());
    reader.skip(wire, field);
  }
  return 0;
}
