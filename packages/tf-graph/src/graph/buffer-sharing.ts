// Outputs of TensorFlow ops that need no separate memory, because they alias an input or may overwrite one.
import { sizeOf } from '../dtypes.ts';
import type { RecordedNode, RecordedOutput } from './recording.ts';

/** Ops that return their input with another shape or name. */
const ALIASES = new Set([
  'Identity',
  'Reshape',
  'ExpandDims',
  'Squeeze',
  'StopGradient',
  'PreventGradient',
  'Bitcast',
]);

/** Ops that slice along the first axis without a copy: the input's memory lives as long as one of the slices. */
const SLICES = new Set(['Slice', 'StridedSlice', 'Split', 'SplitV', 'Unpack']);

/** Ops that return their input if they have no effect. */
const NO_OPS = new Set(['BroadcastTo', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'Tile']);

/** Ops that overwrite an input that no other node needs, if it has the output's size and type. */
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

/** Maximum bytes of a result that TensorFlow's constant folding precomputes before the first run. */
const MAX_FOLDED = 10 << 20;

/** Returns whether TensorFlow would precompute the op if its inputs are constants. */
export const isFolded = ({ op, inputs, controls }: RecordedNode, bytes: number): boolean =>
  inputs.length > 0 && controls.length === 0 && bytes <= MAX_FOLDED && !op.startsWith('Stateless');

/** Returns the index of the input whose memory output `i` aliases, or null. `outputOf` returns the output behind an input. */
export function aliasedInput(
  { op, inputs, outputs }: RecordedNode,
  i: number,
  outputOf: (ref: string) => RecordedOutput,
): number | null {
  if (ALIASES.has(op)) return 0;
  const at = op === 'Split' ? 1 : 0;
  const [from, to] = [outputOf(inputs[at]!).shape ?? [], outputs[i]!.shape ?? []];
  if (NO_OPS.has(op)) return sizeOf(from) === sizeOf(to) ? at : null;
  if (!SLICES.has(op)) return null;
  // Unpack removes the first axis.
  const rest = op === 'Unpack' ? to : to.slice(to.length - from.length + 1);
  return from.length > 0 && isEqual(rest, from.slice(1)) ? at : null;
}

const isEqual = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((size, i) => size === b[i]);

/** Returns the inputs that output `i` may overwrite, in order of preference. */
export function overwritableInputs({ op, inputs }: RecordedNode, i: number): readonly number[] {
  if (op === 'AddN') return inputs.map((_, at) => at);
  if (op === 'SelectV2' || op === 'Select') return [1, 2];
  if (op === 'SparseSoftmaxCrossEntropyWithLogits') return i === 1 ? [0] : [];
  if (op === 'SoftmaxCrossEntropyWithLogits') return i === 1 ? [0, 1] : [];
  return inPlace.get(op) ?? [];
}
