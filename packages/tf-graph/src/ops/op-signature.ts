// The types of an op's inputs and outputs, written "T Tidx -> T" as in TensorFlow's op definitions: a name is an
// attribute, a dtype is fixed, "N*T" is a list whose length is the attribute N.
import { codeOf, type DType, dtypeOfCode, isDType, visibleOf } from '../dtypes.ts';
import { type Attr, attrType } from '../graph/attributes.ts';

interface Argument {
  count: string | null;
  type: string;
}
export interface Signature {
  inputs: Argument[];
  outputs: Argument[];
}

/** `constant`: a host value, which takes the type of the tensors it meets. */
export interface InputType {
  dtype: DType;
  constant: boolean;
}

export interface BoundTypes {
  attrs: Attr[];
  inputs: DType[];
  outputs: DType[];
}

export function parseSignature(text: string): Signature {
  const side = (part: string) =>
    part
      .split(' ')
      .filter(Boolean)
      .map((token): Argument => {
        const [first = '', second] = token.split('*');
        return second ? { count: first, type: second } : { count: null, type: first };
      });
  const [inputs = '', outputs = ''] = text.split('->');
  return { inputs: side(inputs), outputs: side(outputs) };
}

/** Finds every type attribute from the tensors given, so that callers name only the types no input shows. */
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
  return { attrs: [...attrs.values()], inputs: wanted, outputs: outputTypes(op, signature, attrs) };
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

/** Types that TensorFlow fills in when the attribute is absent. */
const defaults: Record<string, DType> = { index_type: 'int32', dtype: 'float32', output_type: 'int64' };

function outputTypes(op: string, { outputs }: Signature, attrs: Map<string, Attr>): DType[] {
  return outputs.flatMap(({ count, type }) => {
    const value = attrs.get(type)?.value;
    const dtype = isDType(type) ? type : value === undefined ? defaults[type] : dtypeOfCode(value as number);
    if (!dtype) throw new Error(`${op} needs the attribute ${type}`);
    if (count === null) return [dtype];
    const length = attrs.get(count)?.value;
    if (typeof length !== 'number') throw new Error(`${op} needs the attribute ${count}`);
    return Array<DType>(length).fill(dtype);
  });
}
