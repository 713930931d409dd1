// Which outputs of TensorFlow's operations take no memory of their own: they are an input's, or may be written over one.
import { sizeOf } from '../dtypes.ts';
import type { RecordedNode, RecordedOutput } from './recording.ts';

/** Give their input as another shape or name. */
const ALIASES = new Set([
  'Identity',
  'Reshape',
  'ExpandDims',
  'Squeeze',
  'StopGradient',
  'PreventGradient',
  'Bitcast',
]);

/** Cut along the first axis they give a part of their input's memory, which stays as long as one of its parts. */
const CUTS = new Set(['Slice', 'StridedSlice', 'Split', 'SplitV', 'Unpack']);

/** Give their input where there is nothing to do. */
const NEEDLESS = new Set(['BroadcastTo', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'Tile']);

/** Write over an input that nobody else needs, where it has the output's size and type. */
const UNARY = [
  'Abs',
  'Ceil',
  'Cos',
  'Elu',
  'Erf',
  'Exp',
  'Expm1',
  'Floor',
  'Inv',
  'Log',
  'Log1p',
  'LogSoftmax',
  'Neg',
  'Reciprocal',
  'Relu',
  'Relu6',
  'Round',
  'Rsqrt',
  'Sigmoid',
  'Sign',
  'Sin',
  'Softmax',
  'Softplus',
  'Sqrt',
  'Square',
  'Tan',
  'Tanh',
];
const BINARY = [
  'Add',
  'AddV2',
  'BiasAdd',
  'Div',
  'DivNoNan',
  'FloorDiv',
  'FloorMod',
  'Maximum',
  'Minimum',
  'Mul',
  'Pow',
  'RealDiv',
  'ReluGrad',
  'RsqrtGrad',
  'SigmoidGrad',
  'SqrtGrad',
  'SquaredDifference',
  'Sub',
  'TanhGrad',
];
const inPlace = new Map<string, readonly number[]>([
  ...UNARY.map((op) => [op, [0]] as const),
  ...BINARY.map((op) => [op, [0, 1]] as const),
]);

/** Bytes of the largest result that TensorFlow computes once of constants, before the first run. */
const FOLDED = 10 << 20;

/** Operations whose results are the same at every run if their inputs are. */
export const foldsAway = ({ op, inputs, controls }: RecordedNode, bytes: number): boolean =>
  inputs.length > 0 && controls.length === 0 && bytes <= FOLDED && !op.startsWith('Stateless');

/** The number of the input whose memory output `i` is; null for none. `outputOf` finds what an input is. */
export function sharedInput(
  { op, inputs, outputs }: RecordedNode,
  i: number,
  outputOf: (ref: string) => RecordedOutput,
): number | null {
  if (ALIASES.has(op)) return 0;
  const at = op === 'Split' ? 1 : 0;
  const [from, to] = [outputOf(inputs[at]!).shape ?? [], outputs[i]!.shape ?? []];
  if (NEEDLESS.has(op)) return sizeOf(from) === sizeOf(to) ? at : null;
  if (!CUTS.has(op)) return null;
  // What Unpack takes apart has an axis less.
  const rest = op === 'Unpack' ? to : to.slice(to.length - from.length + 1);
  return from.length > 0 && isEqual(rest, from.slice(1)) ? at : null;
}

const isEqual = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((size, i) => size === b[i]);

/** Inputs that output `i` may be written over, the first that can be. */
export function changesInPlace({ op, inputs }: RecordedNode, i: number): readonly number[] {
  if (op === 'AddN') return inputs.map((_, at) => at);
  if (op === 'SelectV2' || op === 'Select') return [1, 2];
  if (op === 'SparseSoftmaxCrossEntropyWithLogits') return i === 1 ? [0] : [];
  if (op === 'SoftmaxCrossEntropyWithLogits') return i === 1 ? [0, 1] : [];
  return inPlace.get(op) ?? [];
}
