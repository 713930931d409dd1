// Writes TensorFlow's GraphDef and SavedModel. Field numbers are those of tensorflow/core/framework/
// {graph,node_def,attr_value,tensor,tensor_shape,versions}.proto and tensorflow/core/protobuf/{meta_graph,saved_model}.proto.
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type Attr, attrType } from './attributes.ts';

/** A constant's value: little-endian bytes, as TensorProto.tensor_content holds them. */
export interface TensorValue {
  dtype: number;
  shape: readonly number[];
  content: Uint8Array;
}
export type NodeAttr = Attr | { name: string; tensor: TensorValue };

export interface NodeDef {
  name: string;
  op: string;
  /** "node:output", or "^node" for a control input; control inputs come last. */
  inputs: string[];
  attrs: NodeAttr[];
}

/** The graph version this package's nodes follow (GraphDef.versions.producer); TensorFlow accepts any from 21 up to its own. */
const producer = 1482;
const schemaVersion = 1;
export const servingTag = 'serve';

const message = (writer: BinaryWriter, field: number, body: (writer: BinaryWriter) => unknown) => {
  writer.tag(field, WireType.LengthDelimited).fork();
  body(writer);
  writer.join();
};

function writeShape(writer: BinaryWriter, shape: readonly number[]) {
  for (const size of shape) message(writer, 2, (dimension) => dimension.tag(1, WireType.Varint).int64(size));
}

/** The fields of AttrValue.ListValue have the numbers of the single values. */
function writeValue(writer: BinaryWriter, type: number, value: unknown) {
  switch (type) {
    case attrType.string:
      return writer.tag(2, WireType.LengthDelimited).string(String(value));
    case attrType.int:
      return writer.tag(3, WireType.Varint).int64(value as number);
    case attrType.float:
      return writer.tag(4, WireType.Bit32).float(value as number);
    case attrType.bool:
      return writer.tag(5, WireType.Varint).bool(value as boolean);
    case attrType.type:
      return writer.tag(6, WireType.Varint).int32(value as number);
    case attrType.shape:
      return message(writer, 7, (shape) => writeShape(shape, value as number[]));
    default:
      throw new Error(`unknown attribute type ${type}`);
  }
}

function writeAttr(writer: BinaryWriter, attr: NodeAttr) {
  if ('tensor' in attr) {
    const { dtype, shape, content } = attr.tensor;
    return message(writer, 8, (tensor) => {
      tensor.tag(1, WireType.Varint).int32(dtype);
      message(tensor, 2, (dimensions) => writeShape(dimensions, shape));
      tensor.tag(4, WireType.LengthDelimited).bytes(content);
    });
  }
  if (attr.type !== attrType.shape && Array.isArray(attr.value)) {
    const values = attr.value;
    return message(writer, 1, (list) => {
      for (const value of values) writeValue(list, attr.type, value);
    });
  }
  return writeValue(writer, attr.type, attr.value);
}

/** One GraphDef.node, with its tag. */
export function encodeNode(node: NodeDef): Uint8Array {
  const writer = new BinaryWriter();
  message(writer, 1, (body) => {
    body.tag(1, WireType.LengthDelimited).string(node.name);
    body.tag(2, WireType.LengthDelimited).string(node.op);
    for (const input of node.inputs) body.tag(3, WireType.LengthDelimited).string(input);
    for (const attr of node.attrs)
      message(body, 5, (entry) => {
        entry.tag(1, WireType.LengthDelimited).string(attr.name);
        message(entry, 2, (value) => writeAttr(value, attr));
      });
  });
  return writer.finish();
}

/** Writes `saved_model.pb` into `folder`, node by node: a SavedModel { MetaGraphDef { meta_info_def { tags }, graph_def } }. */
export function writeSavedModel(folder: string, nodes: readonly NodeDef[]): void {
  const encoded = nodes.map(encodeNode);
  encoded.push(versions());
  const graphBytes = encoded.reduce((sum, chunk) => sum + chunk.length, 0);

  const graphTag = new BinaryWriter().tag(2, WireType.LengthDelimited).uint32(graphBytes).finish();
  const info = new BinaryWriter();
  message(info, 1, (body) => body.tag(4, WireType.LengthDelimited).string(servingTag));
  const metaInfo = info.finish();
  const header = new BinaryWriter()
    .tag(1, WireType.Varint)
    .int64(schemaVersion)
    .tag(2, WireType.LengthDelimited)
    .uint32(metaInfo.length + graphTag.length + graphBytes)
    .finish();

  const file = openSync(join(folder, 'saved_model.pb'), 'wx');
  try {
    for (const chunk of batched([header, metaInfo, graphTag, ...encoded])) writeFully(file, chunk);
  } finally {
    closeSync(file);
  }
}

function versions(): Uint8Array {
  const writer = new BinaryWriter();
  message(writer, 4, (body) => body.tag(1, WireType.Varint).int32(producer));
  return writer.finish();
}

/** Joins small chunks so that a graph of 20,000 nodes takes tens of writes. */
function* batched(chunks: Uint8Array[], limit = 1 << 20): Generator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    pending.push(chunk);
    bytes += chunk.length;
    if (bytes < limit) continue;
    yield Buffer.concat(pending);
    pending = [];
    bytes = 0;
  }
  yield Buffer.concat(pending);
}

function writeFully(file: number, chunk: Uint8Array) {
  for (let offset = 0; offset < chunk.length; ) offset += writeSync(file, chunk, offset);
}
