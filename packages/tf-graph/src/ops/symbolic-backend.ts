// A tfjs backend that records a TensorFlow graph instead of computing. It reuses tfjs-node's kernels: each op that they would execute
// becomes a node, so models, gradients and optimizers stay plain tfjs code.
import { type DType, dtypeOfCode, visibleOf } from '../dtypes.ts';
import { type Attr, attr } from '../graph/attributes.ts';
import type { Graph, GraphNode, HostValue } from '../graph/graph.ts';
import { binding, type NodeJSKernelBackend, nativeBackend, tf } from '../tensorflow.ts';
import { bindTypes, grouped, signatureOf } from './op-signature.ts';
import { checkStaticShape, withOpenSizes } from './varying-size.ts';

export const symbolicBackendName = 'graft-graph';

/** A node's output: `ref` is "node:output". */
interface NodeOutput {
  ref: string;
  dtype: DType;
}
type Entry = { refCount: number } & ({ output: NodeOutput } | { host: HostValue });

const NativeBackend = nativeBackend.constructor as typeof NodeJSKernelBackend;

/** Ops that move values without computing. */
const movers = new Set([
  'Reshape',
  'ExpandDims',
  'Squeeze',
  'Identity',
  'Transpose',
  'Slice',
  'StridedSlice',
  'GatherV2',
  'ConcatV2',
  'Split',
  'SplitV',
  'Pack',
  'Unpack',
]);

class SymbolicBackend extends NativeBackend {
  readonly entries = new tf.DataStorage<Entry>(this, tf.engine());
  #graph: Graph | null = null;
  /** Number that represents the varying size, in a function that has one. */
  #standIn: number | null = null;

  constructor() {
    super(binding, '@tensorflow/tfjs-node-gpu');
  }

  get graph(): Graph {
    if (!this.#graph) throw new Error('no function is being traced');
    return this.#graph;
  }

  /** Runs `body` with this backend recording into `graph`; `standIn` represents a varying size. */
  trace<T>(graph: Graph, standIn: number | null, body: () => T): T {
    const before = tf.getBackend();
    const outer = this.#graph;
    this.#graph = graph;
    this.#standIn = standIn;
    tf.setBackend(symbolicBackendName);
    try {
      return body();
    } finally {
      this.#graph = outer;
      this.#standIn = null;
      tf.setBackend(before);
    }
  }

  tensors({ name, outputs }: GraphNode): tf.Tensor[] {
    return outputs.map(({ dtype: code, shape: inferred }, i) => {
      const ref = `${name}:${i}`;
      const standIn = this.#standIn;
      if (standIn && inferred) checkStaticShape(ref, inferred, standIn);
      const shape = standIn && inferred ? inferred.map((size) => (size === -1 ? standIn : size)) : inferred;
      if (!shape || shape.includes(-1))
        throw new Error(
          `${ref} has no static shape: an input that decides it must be a host value, not a computed one`,
        );
      const [dtype, dataId] = [dtypeOfCode(code), {}];
      this.entries.set(dataId, { output: { ref, dtype }, refCount: 1 });
      return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype: visibleOf(dtype) }, this);
    });
  }

  dtypeOf(tensor: tf.TensorInfo): DType {
    const entry = this.entries.get(tensor.dataId);
    return 'output' in entry ? entry.output.dtype : (entry.host.dtype as DType);
  }

  isConstant(tensor: tf.TensorInfo): boolean {
    return 'host' in this.entries.get(tensor.dataId);
  }

  /** Returns "node:output" of a tensor; a host value becomes a constant of `dtype`. */
  ref(tensor: tf.TensorInfo, dtype?: DType): string {
    const entry = this.entries.get(tensor.dataId);
    return 'output' in entry
      ? entry.output.ref
      : this.graph.constant(entry.host, dtype ?? (entry.host.dtype as DType));
  }

  record(op: string, given: Attr[], inputs: tf.TensorInfo[], controls: string[] = []): tf.Tensor[] {
    const signature = signatureOf(op);
    const types = bindTypes(
      op,
      signature,
      given,
      inputs.map((input) => ({ dtype: this.dtypeOf(input), constant: this.isConstant(input) })),
    );
    const refs = inputs.map((input, i) => this.ref(input, types.inputs[i]));
    return this.tensors(this.graph.node(op, [...grouped(signature, refs), ...controls], types.attrs));
  }

  // Methods that tfjs-node's kernels call.
  override executeSingleOutput(op: string, attrs: Attr[], inputs: tf.TensorInfo[]): tf.Tensor {
    return this.executeMultipleOutputs(op, attrs, inputs)[0]!;
  }
  override executeMultipleOutputs(op: string, attrs: Attr[], inputs: tf.TensorInfo[]): tf.Tensor[] {
    return this.record(op, attrs, this.#asVisible(op, this.#withOpenSizes(op, inputs)));
  }

  #withOpenSizes(op: string, inputs: tf.TensorInfo[]): tf.TensorInfo[] {
    if (this.#standIn === null) return inputs;
    return withOpenSizes(op, inputs, this.#standIn, (input) => {
      const entry = this.entries.get(input.dataId);
      return 'host' in entry ? (entry.host.values as ArrayLike<number>) : null;
    });
  }

  /**
   * tfjs sees float32 instead of bfloat16, so its kernels compute in float32: casts bfloat16 inputs first. Ops that only move values keep
   * bfloat16, unless they combine it with float32.
   */
  #asVisible(op: string, inputs: tf.TensorInfo[]): tf.TensorInfo[] {
    const narrow = inputs.filter((input) => this.dtypeOf(input) === 'bfloat16');
    if (narrow.length === 0) return inputs;
    const wide = inputs.some((input) => !this.isConstant(input) && this.dtypeOf(input) === 'float32');
    if (movers.has(op) && !wide) return inputs;
    const widened = [attr.type('DstT', 'float32'), attr.bool('Truncate', false)];
    return inputs.map((input) =>
      narrow.includes(input) ? this.record('Cast', widened, [input])[0]! : input,
    );
  }

  // Methods that tfjs's engine calls.
  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object {
    const dataId = {};
    this.move(dataId, values, shape, dtype, 1);
    return dataId;
  }
  override move(
    dataId: object,
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool')
      throw new Error(`a graph cannot hold a ${dtype} constant`);
    if (this.#standIn !== null) checkStaticShape('a constant', shape, this.#standIn);
    this.entries.set(dataId, { host: { values: values as tf.TypedArray, shape, dtype }, refCount });
  }
  override readSync(dataId: object): Float32Array {
    const entry = this.entries.get(dataId);
    if ('host' in entry) return entry.host.values as Float32Array;
    throw new Error(`${entry.output.ref} is a symbolic tensor: it has no value while a function is traced`);
  }
  override async read(dataId: object): Promise<Float32Array> {
    return this.readSync(dataId);
  }
  override numDataIds(): number {
    return this.entries.numDataIds();
  }
  override incRef(dataId: object): void {
    this.entries.get(dataId).refCount++;
  }
  override refCount(dataId: object): number {
    return this.entries.has(dataId) ? this.entries.get(dataId).refCount : 0;
  }
  override disposeData(dataId: object, force = false): boolean {
    if (!this.entries.has(dataId)) return true;
    const entry = this.entries.get(dataId);
    entry.refCount--;
    if (!force && entry.refCount > 0) return false;
    this.entries.delete(dataId);
    return true;
  }
}

export type { SymbolicBackend };
export const symbolicBackend = new SymbolicBackend();

tf.registerBackend(symbolicBackendName, () => symbolicBackend, 0);
tf.copyRegisteredKernels('tensorflow', symbolicBackendName);

// tfjs-node's GatherV2 reads the indices to check them; in a graph their values do not exist yet.
tf.unregisterKernel('GatherV2', symbolicBackendName);
tf.registerKernel({
  kernelName: 'GatherV2',
  backendName: symbolicBackendName,
  kernelFunc: ({ inputs, attrs }) => {
    const { axis, batchDims } = attrs as unknown as { axis: number; batchDims: number };
    return symbolicBackend.executeSingleOutput(
      'GatherV2',
      [{ name: 'batch_dims', type: binding.TF_ATTR_INT, value: batchDims }],
      [inputs.x!, inputs.indices!, tf.scalar(axis, 'int32')],
    );
  },
});
