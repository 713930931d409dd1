// Every op a graph may hold: the types of its inputs and outputs and the shapes of its outputs. An op is added by one
// row here and a case in shape-functions.test.ts, which compares the row with a real run.
import { parseSignature, type Signature } from './op-signature.ts';

type Shape = readonly number[];

/** What a shape function may look at. */
export interface OpCall {
  shapes: Shape[];
  /** The value of an attribute, or undefined. */
  attr(name: string): unknown;
  /** The elements of input `i`, which must be a host value; negative counts from the end. */
  constant(i: number): number[];
}
type ShapeFunction = (call: OpCall) => Shape[];
export interface OpDefinition {
  signature: Signature;
  shapes: ShapeFunction;
}

const first = (call: OpCall): Shape => call.shapes[0] as Shape;
const shapeAt = (call: OpCall, i: number): Shape => call.shapes.at(i) as Shape;
const same: ShapeFunction = (call) => [first(call)];
const scalar: ShapeFunction = () => [[]];
const product = (shape: Shape) => shape.reduce((a, b) => a * b, 1);
const flag = (call: OpCall, name: string) => call.attr(name) === true;

function axisIn(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= Math.max(rank, 1))
    throw new Error(`axis ${axis} is outside rank ${rank}`);
  return positive;
}
const one = (values: number[]): number => values[0] as number;
const withSize = (shape: Shape, axis: number, size: number): Shape =>
  shape.map((d, i) => (i === axis ? size : d));

export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new Error(`shapes [${a}] and [${b}] do not broadcast`);
    return x === 1 ? y : x;
  });
}
const broadcast: ShapeFunction = (call) => [call.shapes.reduce(broadcastShapes)];

const reduce: ShapeFunction = (call) => {
  const shape = first(call);
  const axes = new Set(call.constant(1).map((axis) => axisIn(axis, shape.length)));
  return [
    flag(call, 'keep_dims')
      ? shape.map((d, i) => (axes.has(i) ? 1 : d))
      : shape.filter((_, i) => !axes.has(i)),
  ];
};
const argReduce: ShapeFunction = (call) => {
  const shape = first(call);
  const axis = axisIn(one(call.constant(1)), shape.length);
  return [shape.filter((_, i) => i !== axis)];
};

const matMul: ShapeFunction = (call) => {
  const [a, b] = [shapeAt(call, 0), shapeAt(call, 1)];
  const [rows, inner] = flag(call, 'adj_x') ? [a.at(-1), a.at(-2)] : [a.at(-2), a.at(-1)];
  const [innerB, columns] = flag(call, 'adj_y') ? [b.at(-1), b.at(-2)] : [b.at(-2), b.at(-1)];
  if (inner !== innerB) throw new Error(`the inner sizes of [${a}] and [${b}] differ`);
  return [[...broadcastShapes(a.slice(0, -2), b.slice(0, -2)), rows as number, columns as number]];
};

const reshape: ShapeFunction = (call) => {
  const wanted = call.constant(1);
  const size = product(first(call));
  const known = product(wanted.filter((d) => d !== -1));
  const shape = wanted.map((d) => (d === -1 ? size / known : d));
  if (product(shape) !== size || shape.some((d) => !Number.isInteger(d)))
    throw new Error(`[${first(call)}] does not reshape to [${wanted}]`);
  return [shape];
};
const transpose: ShapeFunction = (call) => [call.constant(1).map((axis) => first(call)[axis] as number)];
const expandDims: ShapeFunction = (call) => {
  const shape = first(call);
  const axis = axisIn(one(call.constant(1)), shape.length + 1);
  return [[...shape.slice(0, axis), 1, ...shape.slice(axis)]];
};
const squeeze: ShapeFunction = (call) => {
  const shape = first(call);
  const axes = ((call.attr('squeeze_dims') as number[] | undefined) ?? []).map((axis) =>
    axisIn(axis, shape.length),
  );
  return [shape.filter((d, i) => (axes.length ? !axes.includes(i) : d !== 1))];
};

const concat: ShapeFunction = (call) => {
  const shape = first(call);
  const axis = axisIn(one(call.constant(-1)), shape.length);
  return [
    withSize(
      shape,
      axis,
      call.shapes.slice(0, -1).reduce((sum, s) => sum + (s[axis] as number), 0),
    ),
  ];
};
const pack: ShapeFunction = (call) => {
  const shape = first(call);
  const axis = axisIn((call.attr('axis') as number | undefined) ?? 0, shape.length + 1);
  return [[...shape.slice(0, axis), call.shapes.length, ...shape.slice(axis)]];
};
const unpack: ShapeFunction = (call) => {
  const shape = first(call);
  const axis = axisIn((call.attr('axis') as number | undefined) ?? 0, shape.length);
  return Array<Shape>(call.attr('num') as number).fill(shape.filter((_, i) => i !== axis));
};
const split: ShapeFunction = (call) => {
  const shape = shapeAt(call, 1);
  const count = call.attr('num_split') as number;
  const axis = axisIn(one(call.constant(0)), shape.length);
  return Array<Shape>(count).fill(withSize(shape, axis, (shape[axis] as number) / count));
};
const splitV: ShapeFunction = (call) => {
  const shape = first(call);
  const axis = axisIn(one(call.constant(2)), shape.length);
  const sizes = call.constant(1);
  const rest = (shape[axis] as number) - sizes.reduce((sum, size) => sum + Math.max(size, 0), 0);
  return sizes.map((size) => withSize(shape, axis, size < 0 ? rest : size));
};
const slice: ShapeFunction = (call) => {
  const sizes = call.constant(2);
  // The start may be data; only a size of -1 ("to the end") needs it.
  const begin = sizes.includes(-1) ? call.constant(1) : [];
  return [sizes.map((size, i) => (size === -1 ? (first(call)[i] as number) - (begin[i] as number) : size))];
};
const tile: ShapeFunction = (call) => [
  call.constant(1).map((times, i) => times * (first(call)[i] as number)),
];
const pad: ShapeFunction = (call) => {
  const paddings = call.constant(1);
  return [first(call).map((d, i) => d + (paddings[2 * i] as number) + (paddings[2 * i + 1] as number))];
};
const range: ShapeFunction = (call) => {
  const [start, limit, delta] = [one(call.constant(0)), one(call.constant(1)), one(call.constant(2))];
  return [[Math.max(0, Math.ceil((limit - start) / delta))]];
};

/** The rules of tf.strided_slice: spec entries meet dimensions from the left, an ellipsis takes the spare ones. */
const stridedSlice: ShapeFunction = (call) => {
  const shape = first(call);
  const [begin, end, strides] = [call.constant(1), call.constant(2), call.constant(3)];
  const bit = (name: string, i: number) => ((((call.attr(name) as number | undefined) ?? 0) >> i) & 1) === 1;
  const added = begin.filter((_, i) => bit('new_axis_mask', i)).length;
  const out: number[] = [];
  let dimension = 0;
  begin.forEach((_, i) => {
    if (bit('ellipsis_mask', i)) {
      const spare = shape.length - (begin.length - 1 - added);
      out.push(...shape.slice(dimension, dimension + spare));
      dimension += spare;
    } else if (bit('new_axis_mask', i)) out.push(1);
    else {
      const size = shape[dimension++] as number;
      if (!bit('shrink_axis_mask', i))
        out.push(
          sliceLength(
            size,
            strides[i] as number,
            bit('begin_mask', i) ? null : (begin[i] as number),
            bit('end_mask', i) ? null : (end[i] as number),
          ),
        );
    }
  });
  return [[...out, ...shape.slice(dimension)]];
};

function sliceLength(size: number, stride: number, begin: number | null, end: number | null): number {
  const [low, high] = stride > 0 ? [0, size] : [-1, size - 1];
  const place = (x: number) => Math.min(Math.max(x < 0 ? x + size : x, low), high);
  const from = begin === null ? (stride > 0 ? low : high) : place(begin);
  const to = end === null ? (stride > 0 ? high : low) : place(end);
  return Math.max(0, Math.ceil((to - from) / stride));
}

const gather: ShapeFunction = (call) => {
  const [params, indices] = [shapeAt(call, 0), shapeAt(call, 1)];
  const axis = axisIn(one(call.constant(2)), params.length);
  let batch = (call.attr('batch_dims') as number | undefined) ?? 0;
  if (batch < 0) batch += indices.length;
  return [[...params.slice(0, axis), ...indices.slice(batch), ...params.slice(axis + 1)]];
};
const gatherNd: ShapeFunction = (call) => {
  const indices = shapeAt(call, 1);
  return [[...indices.slice(0, -1), ...first(call).slice(indices.at(-1))]];
};
const segmentSum: ShapeFunction = (call) => [
  [one(call.constant(2)), ...first(call).slice(shapeAt(call, 1).length)],
];
const oneHot: ShapeFunction = (call) => {
  const shape = first(call);
  const axis = (call.attr('axis') as number | undefined) ?? -1;
  const at = axis === -1 ? shape.length : axis;
  return [[...shape.slice(0, at), one(call.constant(1)), ...shape.slice(at)]];
};
const topK: ShapeFunction = (call) => {
  const shape = [...first(call).slice(0, -1), one(call.constant(1))];
  return [shape, shape];
};
const softmaxLoss: ShapeFunction = (call) => [first(call).slice(0, 1), first(call)];
/** x `(time, batch, in)` at 1, a state `(batch, H)` at 2: seven tensors of `(time, batch, H)`. */
const blockLstm: ShapeFunction = (call) => {
  const [time, batch] = shapeAt(call, 1) as [number, number];
  return Array(7).fill([time, batch, shapeAt(call, 2)[1] as number]);
};
/** The gradients of x, both states, the weights, three peepholes and the biases. */
const blockLstmGrad: ShapeFunction = (call) => [1, 2, 3, 4, 5, 6, 7, 8].map((i) => shapeAt(call, i));
const bitcast: ShapeFunction = (call) => {
  const bytes = (code: unknown) =>
    ({ 1: 4, 3: 4, 4: 1, 5: 2, 6: 1, 9: 8, 14: 2, 17: 2, 19: 2 })[code as number] as number;
  const ratio = bytes(call.attr('T')) / bytes(call.attr('type'));
  const shape = first(call);
  if (ratio < 1 && (shape.at(-1) as number) * ratio !== 1)
    throw new Error(`the last size of [${shape}] must be ${1 / ratio}`);
  return [ratio === 1 ? shape : ratio > 1 ? [...shape, ratio] : shape.slice(0, -1)];
};
const fromConstant =
  (i: number): ShapeFunction =>
  (call) => [call.constant(i)];

const define = (signature: string, shapes: ShapeFunction): OpDefinition => ({
  signature: parseSignature(signature),
  shapes,
});
const all = (names: string, signature: string, shapes: ShapeFunction): Record<string, OpDefinition> =>
  Object.fromEntries(names.split(' ').map((name) => [name, define(signature, shapes)]));

export const opDefinitions: Record<string, OpDefinition> = {
  // arithmetic
  ...all(
    'Abs Neg Sign Square Sqrt Rsqrt Reciprocal Exp Expm1 Log Log1p Sin Cos Tan Tanh Sigmoid Erf Floor Ceil Round',
    'T -> T',
    same,
  ),
  ...all(
    'Relu Relu6 Softplus ZerosLike OnesLike Identity Snapshot StopGradient DeepCopy Invert',
    'T -> T',
    same,
  ),
  ...all(
    'Add AddV2 Sub Mul MulNoNan RealDiv Div DivNoNan FloorDiv FloorMod Mod Pow Maximum Minimum SquaredDifference',
    'T T -> T',
    broadcast,
  ),
  ...all('BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift', 'T T -> T', broadcast),
  ...all('SigmoidGrad TanhGrad RsqrtGrad SqrtGrad', 'T T -> T', same),
  ReluGrad: define('T T -> T', same),
  AddN: define('N*T -> T', same),
  L2Loss: define('T -> T', scalar),
  // comparison and logic
  ...all('Equal NotEqual Less LessEqual Greater GreaterEqual', 'T T -> bool', broadcast),
  ...all('LogicalAnd LogicalOr', 'bool bool -> bool', broadcast),
  LogicalNot: define('bool -> bool', same),
  ...all('IsNan IsInf IsFinite', 'T -> bool', same),
  Select: define('bool T T -> T', (call) => [shapeAt(call, 1)]),
  SelectV2: define('bool T T -> T', broadcast),
  // matrices
  BatchMatMulV2: define('T T -> T', matMul),
  MatrixBandPart: define('T Tindex Tindex -> T', same),
  // reductions
  ...all('Sum Mean Max Min Prod', 'T Tidx -> T', reduce),
  ...all('All Any', 'bool Tidx -> bool', reduce),
  ...all('ArgMax ArgMin', 'T Tidx -> output_type', argReduce),
  ...all('Cumsum Cumprod', 'T Tidx -> T', same),
  TopKV2: define('T Tk -> T index_type', topK),
  // layout
  Reshape: define('T Tshape -> T', reshape),
  Transpose: define('T Tperm -> T', transpose),
  ExpandDims: define('T Tdim -> T', expandDims),
  Squeeze: define('T -> T', squeeze),
  ConcatV2: define('N*T Tidx -> T', concat),
  Pack: define('N*T -> T', pack),
  Unpack: define('T -> num*T', unpack),
  Split: define('int32 T -> num_split*T', split),
  SplitV: define('T Tlen int32 -> num_split*T', splitV),
  Slice: define('T Index Index -> T', slice),
  StridedSlice: define('T Index Index Index -> T', stridedSlice),
  TensorStridedSliceUpdate: define('T Index Index Index T -> T', same),
  Tile: define('T Tmultiples -> T', tile),
  Pad: define('T Tpaddings -> T', pad),
  PadV2: define('T Tpaddings T -> T', pad),
  BroadcastTo: define('T Tidx -> T', fromConstant(1)),
  ReverseV2: define('T Tidx -> T', same),
  // lookup
  GatherV2: define('Tparams Tindices Taxis -> Tparams', gather),
  GatherNd: define('Tparams Tindices -> Tparams', gatherNd),
  ScatterNd: define('Tindices T Tindices -> T', fromConstant(2)),
  TensorScatterUpdate: define('T Tindices T -> T', same),
  UnsortedSegmentSum: define('T Tindices Tnumsegments -> T', segmentSum),
  OneHot: define('TI int32 T T -> T', oneHot),
  // creation
  Fill: define('index_type T -> T', fromConstant(0)),
  Range: define('Tidx Tidx Tidx -> Tidx', range),
  ...all(
    'StatelessRandomUniform StatelessRandomNormal StatelessTruncatedNormal',
    'T Tseed -> dtype',
    fromConstant(0),
  ),
  // types
  Cast: define('SrcT -> DstT', same),
  Bitcast: define('T -> type', bitcast),
  // fused
  ...all('Softmax LogSoftmax', 'T -> T', same),
  SparseSoftmaxCrossEntropyWithLogits: define('T Tlabels -> T T', softmaxLoss),
  BlockLSTMV2: define('int64 T T T T T T T T -> T T T T T T T', blockLstm),
  BlockLSTMGradV2: define('int64 T T T T T T T T T T T T T T T T T -> T T T T T T T T', blockLstmGrad),
};
