// Types of an op's inputs and outputs, from TensorFlow's own op definition.
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { codeOf, type DType, dtypeOfCode, isDType, visibleOf } from '../dtypes.ts';
import { type Attr, attrType } from '../graph/attributes.ts';
import { sessions } from '../tensorflow.ts';

export interface Argument {
  name: string;
  /** Name of the attribute with the number of tensors; null for a single tensor. */
  count: string | null;
  /** A dtype, or the name of the attribute that holds it. */
  type: string;
}
export interface Signature {
  inputs: Argument[];
  outputs: Argument[];
  /** Default types of attributes. */
  defaults: Map<string, DType>;
}

const known = new Map<string, Signature>();

/** Throws for an op that TensorFlow does not have. */
export function signatureOf(op: string): Signature {
  const signature = known.get(op) ?? readSignature(sessions.opDefinition(op));
  known.set(op, signature);
  return signature;
}

/** Field numbers are those of OpDef in tensorflow/core/framework/op_def.proto. */
function readSignature(definition: Uint8Array): Signature {
  const signature: Signature = { inputs: [], outputs: [], defaults: new Map() };
  const reader = new BinaryReader(definition);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 2) signature.inputs.push(readArgument(reader.bytes()));
    else if (field === 3) signature.outputs.push(readArgument(reader.bytes()));
    else if (field === 4) readDefaultType(reader.bytes(), signature.defaults);
    else reader.skip(wire, field);
  }
  return signature;
}

/** Parses OpDef.ArgDef. */
function readArgument(definition: Uint8Array): Argument {
  const argument: Argument = { name: '', count: null, type: '' };
  const reader = new BinaryReader(definition);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 1) argument.name = reader.string();
    else if (field === 3) argument.type = argumentType(reader.int32());
    else if (field === 4) argument.type = reader.string();
    else if (field === 5) argument.count = reader.string();
    else reader.skip(wire, field);
  }
  if (!argument.type) throw new Error('an op whose arguments are lists of several types is not supported');
  return argument;
}

/** DT_RESOURCE of types.proto: a variable's handle, separate from the type of its numbers. */
const RESOURCE = 20;
const argumentType = (code: number): string => (code === RESOURCE ? 'resource' : dtypeOfCode(code));

/** Parses OpDef.AttrDef; only defaults of kind `type` matter (AttrValue in attr_value.proto). */
function readDefaultType(definition: Uint8Array, defaults: Map<string, DType>): void {
  const reader = new BinaryReader(definition);
  let name = '';
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 1) name = reader.string();
    else if (field === 3) {
      const value = new BinaryReader(reader.bytes());
      while (value.pos < value.len) {
        const [field, wire] = value.tag();
        if (field === 6) defaults.set(name, dtypeOfCode(value.int32()));
        else value.skip(wire, field);
      }
    } else reader.skip(wire, field);
  }
}

/** Groups inputs as `addNode` takes them: the tensors of a list input together. */
export function grouped({ inputs }: Signature, refs: readonly string[]): (string | readonly string[])[] {
  const rest = [...refs];
  return inputs.flatMap(({ count }, i): (string | readonly string[])[] =>
    count === null ? rest.splice(0, 1) : [rest.splice(0, rest.length - (inputs.length - 1 - i))],
  );
}

export function outputCount({ outputs }: Signature, attrs: readonly Attr[]): number {
  return outputs.reduce((sum, { count }) => {
    if (count === null) return sum + 1;
    const length = attrs.find(({ name }) => name === count)?.value;
    if (typeof length !== 'number') throw new Error(`an op needs the attribute ${count}`);
    return sum + length;
  }, 0);
}

/** `constant`: a host value, which adopts the type of the tensors it is combined with. */
export interface InputType {
  dtype: DType;
  constant: boolean;
}

export interface BoundTypes {
  attrs: Attr[];
  inputs: DType[];
}

/** Infers type attributes from the given tensors, so that callers only specify types that no input determines. */
export function bindTypes(op: string, signature: Signature, given: Attr[], inputs: InputType[]): BoundTypes {
  const attrs = new Map(given.map((attr) => [attr.name, attr]));
  const args = expandInputs(op, signature, attrs, inputs.length);

  const chosen = new Map<string, DType>();
  for (const constant of [false, true])
    inputs.forEach((input, i) => {
      const type = args[i] as string;
      if (input.constant === constant && !isDType(type) && !chosen.has(type)) chosen.set(type, input.dtype);
    });
  for (const [name, dtype] of chosen) attrs.set(name, { name, type: attrType.type, value: codeOf(dtype) });

  const wanted = args.map((type) => (isDType(type) ? type : (chosen.get(type) as DType)));
  inputs.forEach((input, i) => {
    const target = wanted[i] as DType;
    if (input.dtype === target || (input.constant && visibleOf(input.dtype) === visibleOf(target))) return;
    throw new Error(`${op}: input ${i} is ${input.dtype} where ${target} is needed; cast one`);
  });
  return { attrs: [...attrs.values()], inputs: wanted };
}

function expandInputs(op: string, { inputs }: Signature, attrs: Map<string, Attr>, given: number): string[] {
  const list = inputs.find((input) => input.count !== null);
  const single = inputs.length - (list ? 1 : 0);
  if (list ? given < single : given !== single)
    throw new Error(`${op} takes ${single}${list ? ' or more' : ''} inputs, not ${given}`);
  if (list?.count) attrs.set(list.count, { name: list.count, type: attrType.int, value: given - single });
  return inputs.flatMap((input) =>
    input.count ? Array<string>(given - single).fill(input.type) : [input.type],
  );
}
