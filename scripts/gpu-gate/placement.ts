/**
 * Where each tensor of a graph lies when TensorFlow computes it on a GPU, and what is wrong with that. A kernel of the GPU may take or
 * give an argument in the host's memory: shapes, and all integers of 32 bits that arithmetic is done with.
 */
import {
  type Argument,
  bytesOf,
  type RecordedFunction,
  type RecordedNode,
  type RecordedOutput,
  signatureOf,
} from '@graft/tf-graph';
import { hostArguments, typesOf } from './kernels.ts';

/**
 * Ops that have no deterministic kernel on a GPU: with TF_DETERMINISTIC_OPS=1 they raise Unimplemented, or run on the processor with
 * copies there and back. Source: the messages of TensorFlow 2.21.0's own library ("… is not currently available", "… not available",
 * "Determinism is not yet supported …", "… that would have been executed is not deterministic") and `DoScatterNd` and `DoScatter` of
 * tensorflow/core/kernels.
 */
const raising = [
  'SparseSoftmaxCrossEntropyWithLogits',
  'SoftmaxCrossEntropyWithLogits',
  'Bincount',
  'DenseBincount',
  'RaggedBincount',
  'SparseBincount',
  'Svd',
  'Timestamp',
  'AdjustContrast',
  'AdjustContrastv2',
  'ResizeNearestNeighborGrad',
  'CropAndResizeGradImage',
  'CropAndResizeGradBoxes',
  'MaxPoolGradWithArgmax',
  'Dilation2DBackpropFilter',
  'Dilation2DBackpropInput',
  'DepthwiseConv2dNativeBackpropFilter',
  'FusedBatchNormGrad',
  'FusedBatchNormGradV2',
  'FusedBatchNormGradV3',
  'SparseTensorDenseMatMul',
  'FakeQuantWithMinMaxVarsGradient',
  'FakeQuantWithMinMaxVarsPerChannelGradient',
  'DebugNumericSummaryV2',
];

/** They add up in the order in which threads arrive, or choose the last of several values for one place. */
const scatters =
  /^(Resource)?Scatter(Nd)?(NonAliasing)?(Add|Sub|Mul|Div|Min|Max|Update)?$|^TensorScatter(Add|Sub|Min|Max|Update)$/;
/**
 * Segment sums are deterministic where they have to be, but those of sorted segments wait for the device to report how many there are.
 * UnsortedSegmentSum receives the number, sorts, and then adds in that order (`UnsortedSegmentFunctor` of segment_reduction_ops_gpu.cu.h).
 */
const waiting = /^(Sparse)?Segment(Sum|Mean|SqrtN|Prod|Min|Max)/;

/**
 * Those that write each place once, where the indices differ: the same every time, and TF_DISABLE_SCATTER_OP_DETERMINISM=1 keeps them
 * on the card. Graft writes rows of the cache and trained rows of a table with them; what is written twice is padding, which nobody reads.
 */
const writesOnce = ['ResourceScatterUpdate', 'TensorScatterUpdate'];

const isNondeterministic = (op: string): boolean =>
  raising.includes(op) || waiting.test(op) || (scatters.test(op) && !writesOnce.includes(op));

/** More than this is no shape, and is neither computed on the host nor copied from it at each run: 64 kB. */
export const MOST_HOST_BYTES = 64 << 10;

export interface Fault {
  kind: 'no kernel' | 'host memory' | 'copy' | 'nondeterministic' | 'kernel op' | 'not traced';
  node: string;
  op: string;
  text: string;
}

export interface Placement {
  faults: Fault[];
  /** Nodes of the function, as it was traced. */
  nodes: number;
  /** Nodes that compute something on the device: launches of a kernel at least. */
  launches: number;
  /** Small constants of integers, which the host holds and copies to the device at each run. */
  copies: number;
}

/** A tensor: its device, and the operation that computes it. */
interface Value {
  place: 'host' | 'device';
  /** `feed`: an input, perhaps in another shape. `constant`: the same at each run. */
  origin: 'feed' | 'constant' | 'computed';
  bytes: number;
}

/** They give what they are given, in another shape or in parts. */
const views = new Set(['Identity', 'Reshape', 'ExpandDims', 'Squeeze', 'Slice', 'StridedSlice', 'Split']);
/** They start nothing on the device. */
const free = new Set([
  'Placeholder',
  'Const',
  'VarHandleOp',
  'ReadVariableOp',
  'Identity',
  'Reshape',
  'ExpandDims',
  'Squeeze',
  'NoOp',
  'Shape',
  'Size',
  'Rank',
  'Bitcast',
]);

export function placementOf({ nodes, fetches }: RecordedFunction): Placement {
  const faults: Fault[] = [];
  const values = new Map<string, Value>();
  const fetched = new Set(fetches);
  const copied = new Set<string>();
  let launches = 0;

  for (const node of nodes) {
    const { name, op, inputs, outputs } = node;
    const given = inputs.map((ref) => values.get(ref)!);
    const fault = (kind: Fault['kind'], text: string) => faults.push({ kind, node: name, op, text });
    const set = (place: (i: number) => Value['place'], origin: Value['origin']) => {
      for (const [i, output] of outputs.entries())
        values.set(`${name}:${i}`, { place: place(i), origin, bytes: sizeOf(output) });
    };
    if (op === 'Placeholder') {
      set(() => 'host', 'feed');
      continue;
    }
    if (op.startsWith('Graft')) {
      fault('kernel op', 'a GPU has none of Graft’s kernels');
      set(() => 'device', 'computed');
      continue;
    }
    const host = hostArguments(op, typesOf(node));
    if (!host || (op === 'VarHandleOp' && !hostArguments('AssignVariableOp', typesOf(node)))) {
      fault('no kernel', `no kernel on a GPU for ${describeTypes(node)}`);
      set(() => 'device', 'computed');
      continue;
    }
    if (isNondeterministic(op)) fault('nondeterministic', 'has no deterministic kernel on a GPU');

    const signature = signatureOf(op);
    const takes = namesOf(signature.inputs, node, inputs.length);
    const gives = namesOf(signature.outputs, node, outputs.length);
    const isFetch = outputs.some((_, i) => fetched.has(`${name}:${i}`));
    for (const [i, value] of given.entries()) {
      const onHost = host.has(takes[i]!);
      if (onHost && value.place === 'device') {
        // A fetched value is copied anyway; a constant is folded before the first run.
        if (!isFetch && !isSmallConstant(value))
          fault(
            'copy',
            `argument ${takes[i]} is computed on the device and needed on the host: ${kilobytes(value.bytes)}`,
          );
      } else if (onHost) {
        if (value.origin === 'computed' && value.bytes > MOST_HOST_BYTES)
          fault('host memory', `argument ${takes[i]} lies on the host: ${kilobytes(value.bytes)}`);
      } else if (value.place === 'host' && value.origin !== 'feed') {
        if (value.origin === 'computed' || value.bytes > MOST_HOST_BYTES)
          fault(
            'copy',
            `argument ${takes[i]} is copied from the host at each run: ${kilobytes(value.bytes)}`,
          );
        else copied.add(node.inputs[i]!);
      }
    }
    const origin = originOf(node, given);
    set((i) => (host.has(gives[i]!) ? 'host' : 'device'), origin);
    for (const [i, output] of outputs.entries())
      if (
        host.has(gives[i]!) &&
        output.dtype !== 'resource' &&
        origin !== 'feed' &&
        sizeOf(output) > MOST_HOST_BYTES
      )
        fault('host memory', `its result ${gives[i]} is computed on the host: ${kilobytes(sizeOf(output))}`);
    if (!free.has(op) && outputs.some((_, i) => values.get(`${name}:${i}`)!.place === 'device')) launches++;
  }
  return { faults, nodes: nodes.length, launches, copies: copied.size };
}

function originOf({ op }: RecordedNode, given: readonly Value[]): Value['origin'] {
  if (op === 'VarHandleOp') return 'computed';
  if (given.every(({ origin }) => origin === 'constant')) return 'constant';
  // The other inputs of a view say how it is cut.
  const isView = views.has(op) && given.every(({ origin }) => origin === 'feed' || origin === 'constant');
  return isView ? 'feed' : 'computed';
}

const isSmallConstant = ({ origin, bytes }: Value) => origin === 'constant' && bytes <= MOST_HOST_BYTES;

/** The argument that each of the tensors belongs to: an argument may be a list. */
function namesOf(all: readonly Argument[], { op, attrs }: RecordedNode, count: number): string[] {
  const lists = all.filter(({ count }) => count !== null);
  const rest = count - (all.length - lists.length);
  return all.flatMap(({ name, count: counted }) => {
    if (counted === null) return [name];
    const given = attrs.find((attr) => attr.name === counted);
    const length = lists.length === 1 ? rest : given && 'value' in given ? Number(given.value) : null;
    if (length === null) throw new Error(`${op} does not say how many ${name} it has`);
    return Array<string>(length).fill(name);
  });
}

/** Bytes of a tensor; 0 of a variable's handle. */
function sizeOf({ dtype, shape }: RecordedOutput): number {
  if (dtype === 'resource') return 0;
  if (!shape || shape.includes(-1)) return Infinity;
  return shape.reduce((product, size) => product * size, bytesOf(dtype));
}

const describeTypes = (node: RecordedNode): string =>
  [...typesOf(node)].map(([name, dtype]) => `${name}=${dtype}`).join(', ');

const kilobytes = (bytes: number): string => `${Math.ceil(bytes / 1024)} kB`;
