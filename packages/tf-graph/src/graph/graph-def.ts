// Writes TensorFlow's GraphDef. Field numbers are those of tensorflow/core/framework/
// {graph,node_def,attr_value,tensor,tensor_shape,versions}.proto.
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
function encodeNode(node: NodeDef): Uint8Array {
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

/** A GraphDef of these nodes. */
export function encodeGraph(nodes: readonly NodeDef[]): Uint8Array {
  const versions = new BinaryWriter();
  message(versions, 4, (body) => body.tag(1, WireType.Varint).int32(producer));
  return Buffer.concat([...nodes.map(encodeNode), versions.finish()]);
}
