// Checks of both kinds of program before TensorFlow is called, so that errors name the faulty item.
import { type DType, sizeOf, type TypedArray } from '../dtypes.ts';
import { type InputSpec, type ProgramFunction, presentIn, type VariableSpec } from './program.ts';

/** Returns the feeds of a function's inputs, in order, with their actual shapes. Throws if one is missing, unknown or has a wrong size. */
export function checkFeeds(
  fn: ProgramFunction,
  feeds: Readonly<Record<string, TypedArray | undefined>>,
): { name: string; input: InputSpec; data: TypedArray }[] {
  for (const [name] of presentIn(feeds))
    if (!fn.inputs[name]) throw new Error(`function "${fn.name}" has no input "${name}"`);
  let length: number | undefined;
  return presentIn(fn.inputs).map(([name, input]) => {
    const data = feeds[name];
    if (!data) throw new Error(`function "${fn.name}" needs a feed for its input "${name}"`);
    const what = `feed "${name}" of function "${fn.name}"`;
    if (!input.varies) {
      checkArray(what, data, feedArray(input), input.shape);
      return { name, input, data };
    }
    const [most, ...rest] = input.shape as [number, ...number[]];
    const first = data.length / sizeOf(rest);
    checkArray(what, data, feedArray(input), [Math.ceil(first), ...rest]);
    if (first > most || (length !== undefined && first !== length))
      throw new Error(`${what} has a first axis of ${first} where ${length ?? `at most ${most}`} is needed`);
    length = first;
    return { name, input: { ...input, shape: [first, ...rest] }, data };
  });
}

const feedArray = ({ dtype }: InputSpec): ArrayConstructors =>
  ({ float32: [Float32Array], int32: [Int32Array], bool: [Uint8Array] })[dtype];

type ArrayConstructors = (new (length: number) => TypedArray)[];

/** Array types accepted for a variable, by storage type. */
const storageArrays: Partial<Record<DType, ArrayConstructors>> = {
  float32: [Float32Array],
  bfloat16: [Uint16Array, Float32Array],
  int32: [Int32Array],
  uint8: [Uint8Array],
  int8: [Int8Array],
  bool: [Uint8Array],
};

/** A variable's value of zeros as it is stored. */
export function zerosOf({ shape, dtype = 'float32' }: VariableSpec): TypedArray {
  return new storageArrays[dtype]![0]!(sizeOf(shape));
}

export function checkVariable(spec: VariableSpec): void {
  if (!storageArrays[spec.dtype ?? 'float32'])
    throw new Error(`variable "${spec.name}" cannot be ${spec.dtype}`);
}

export function checkValue(spec: VariableSpec, data: TypedArray): void {
  checkArray(
    `value of variable "${spec.name}"`,
    data,
    storageArrays[spec.dtype ?? 'float32'] ?? [],
    spec.shape,
  );
}

function checkArray(
  what: string,
  data: TypedArray,
  allowed: ArrayConstructors,
  shape: readonly number[],
): void {
  if (!allowed.some((type) => data instanceof type))
    throw new Error(
      `${what} must be a ${allowed.map((type) => type.name).join(' or ')}, not a ${data.constructor.name}`,
    );
  if (data.length !== sizeOf(shape))
    throw new Error(`${what} has ${data.length} elements where shape [${shape}] needs ${sizeOf(shape)}`);
}

export function lookUp<T>(map: ReadonlyMap<string, T>, kind: string, name: string): T {
  const found = map.get(name);
  if (found === undefined) throw new Error(`the program has no ${kind} "${name}"`);
  return found;
}
