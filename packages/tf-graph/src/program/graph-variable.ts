// A variable of a traced program: a resource that lives in the session, and the nodes that write and read it.
import { toBfloat16 } from '../bfloat16.ts';
import { bytesOf, type DType, type TypedArray } from '../dtypes.ts';
import { type Attr, attr } from '../graph/attributes.ts';
import type { Graph, GraphNode } from '../graph/graph.ts';
import { createFeed, type Feed } from '../graph/graph-session.ts';
import { cast, controlInputs } from '../ops/raw-op.ts';
import { symbolicBackend } from '../ops/symbolic-backend.ts';
import { tf } from '../tensorflow.ts';
import type { FullVariableSpec, GatherOptions, ReadOptions, Variable } from './program.ts';

export class GraphVariable implements Variable {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: DType;
  /** Each "node:0": what Program.write feeds and fetches, and what Program.read fetches. */
  readonly writeFeed: string;
  readonly writeDone: string;
  readonly readFetch: string;
  readonly #graph: Graph;
  readonly #handle: string;

  // State of the function being traced.
  #reads: string[] = [];
  #shared: tf.Tensor | null = null;
  #sharedUnpacked: tf.Tensor | null = null;
  #next: string | null = null;
  #sliceWrites: string[] = [];
  wasRead = false;

  constructor(graph: Graph, { name, shape, dtype }: FullVariableSpec, index: number) {
    this.name = name;
    this.shape = shape;
    this.dtype = dtype;
    this.#graph = graph;
    const scope = `variable/${index}`;
    const [typed, shaped] = [attr.type('dtype', dtype), attr.shape('shape', shape)];
    const named = [attr.string('shared_name', scope), attr.string('container', '')];
    const add = (op: string, inputs: string[], attrs: Attr[], name: string) =>
      graph.node(op, inputs, attrs, name).name;
    this.#handle = `${add('VarHandleOp', [], [typed, shaped, ...named], scope)}:0`;
    this.writeFeed = `${add('Placeholder', [], [typed, shaped], `${scope}/feed`)}:0`;
    const write = add('AssignVariableOp', [this.#handle, this.writeFeed], [typed], `${scope}/write`);
    this.writeDone = graph.done([`^${write}`], `${scope}/written`);
    this.readFetch = `${add('ReadVariableOp', [this.#handle], [typed], `${scope}/read`)}:0`;
  }

  /** Returns a copy of `data` in the format of `writeFeed`. */
  feed(data: TypedArray): Feed {
    const rounded = this.dtype === 'bfloat16' && data instanceof Float32Array ? toBfloat16(data) : data;
    return createFeed(this.dtype, this.shape, rounded);
  }

  /** Resets the state of the previously traced function. */
  begin(): void {
    this.#reads = [];
    this.#forgetShared();
    this.#next = null;
    this.#sliceWrites = [];
    this.wasRead = false;
  }

  get wasAssigned(): boolean {
    return this.#next !== null;
  }

  read({ after = [], stored = false }: ReadOptions = {}): tf.Tensor {
    const controls = controlInputs(after);
    if (controls.length > 0) {
      const value = this.#readNow(controls);
      return stored ? value : this.#unpacked(value);
    }
    this.#shared ??= tf.keep(this.#readNow([]));
    if (stored) return this.#shared.clone();
    this.#sharedUnpacked ??= tf.keep(this.#unpacked(this.#shared).clone());
    return this.#sharedUnpacked.clone();
  }

  #readNow(controls: string[]): tf.Tensor {
    this.wasRead = true;
    const node = this.#graph.node(
      'ReadVariableOp',
      [this.#handle, ...new Set([...controls, ...this.#sliceWrites])],
      [attr.type('dtype', this.dtype)],
    );
    return this.#valueOf(node);
  }

  /** Returns the tensor that a read node produces. */
  #valueOf(node: GraphNode): tf.Tensor {
    this.#reads.push(`^${node.name}`);
    return symbolicBackend.tensors(node)[0]!;
  }

  #unpacked(value: tf.Tensor): tf.Tensor {
    return this.dtype === 'bfloat16' || this.dtype === 'half' ? cast(value, 'float32') : value;
  }

  #forgetShared(): void {
    this.#shared?.dispose();
    this.#sharedUnpacked?.dispose();
    this.#shared = null;
    this.#sharedUnpacked = null;
  }

  /**
   * Uses ResourceGather only for variables that are written in parts, and for rows of bytes that are not whole words: after using it,
   * TensorFlow copies the whole variable at every read. Where a model's output layer reads its embedding table, that costs as much as the
   * largest matrix product.
   */
  gather(ids: tf.Tensor, { stored = false, partlyWritten = false }: GatherOptions = {}): tf.Tensor {
    const given = (rows: tf.Tensor) => (stored ? rows : this.#unpacked(rows));
    const isBytes = bytesOf(this.dtype) === 1;
    const inWords = isBytes && this.shape.length > 1 && this.shape.at(-1)! % 4 === 0;
    if (this.#sliceWrites.length === 0 && !partlyWritten && isBytes === inWords) {
      const value = this.read({ stored: true });
      return given(inWords ? gatherBytes(value, ids, this.dtype) : gatherRows(value, ids));
    }
    this.wasRead = true;
    const node = this.#graph.node(
      'ResourceGather',
      [this.#handle, symbolicBackend.ref(ids), ...this.#sliceWrites],
      [attr.type('dtype', this.dtype), attr.type('Tindices', symbolicBackend.dtypeOf(ids))],
    );
    return given(this.#valueOf(node));
  }

  assign(value: tf.Tensor): void {
    this.#checkWrite(this.#next !== null || this.#sliceWrites.length > 0);
    tf.util.assertShapesMatch(value.shape, this.shape, `variable "${this.name}" is assigned: `);
    this.#next = symbolicBackend.ref(cast(value, this.dtype), this.dtype);
  }

  assignSlice(begin: tf.Tensor, value: tf.Tensor): tf.Tensor {
    this.#checkWrite(this.#next !== null);
    const stored = cast(value, this.dtype);
    const end = tf.add(begin, tf.tensor1d(value.shape, 'int32'));
    const strides = tf.tensor1d(
      value.shape.map(() => 1),
      'int32',
    );
    const inputs = [begin, end, strides, stored].map((input) =>
      symbolicBackend.ref(input, input === stored ? this.dtype : undefined),
    );
    this.#changeInPlace('ResourceStridedSliceAssign', inputs, [
      attr.type('T', this.dtype),
      attr.type('Index', 'int32'),
    ]);
    return this.read();
  }

  assignRows(at: tf.Tensor, value: tf.Tensor): void {
    this.#checkWrite(this.#next !== null);
    const inputs = [symbolicBackend.ref(at), symbolicBackend.ref(cast(value, this.dtype), this.dtype)];
    this.#changeInPlace('ResourceScatterUpdate', inputs, [
      attr.type('dtype', this.dtype),
      attr.type('Tindices', symbolicBackend.dtypeOf(at)),
    ]);
  }

  inPlace(op: string, attrs: Attr[], inputs: tf.Tensor[]): tf.Tensor[] {
    this.#checkWrite(this.#next !== null);
    const refs = inputs.map((input) => symbolicBackend.ref(input));
    return symbolicBackend.tensors(this.#changeInPlace(op, refs, attrs));
  }

  /** Adds a node that changes a part of the value, after all reads and changes so far and before those that follow. */
  #changeInPlace(op: string, inputs: string[], attrs: Attr[]): GraphNode {
    const after = [...this.#reads, ...this.#sliceWrites];
    const node = this.#graph.node(op, [this.#handle, ...inputs, ...after], attrs);
    this.#sliceWrites = [`^${node.name}`];
    this.#reads = [];
    this.#forgetShared();
    this.wasRead = true; // part of the old value remains
    return node;
  }

  #checkWrite(again: boolean): void {
    if (again) throw new Error(`variable "${this.name}" is assigned twice in one function`);
  }

  /** Ends the function: returns the assignment node, which runs after every read, as control inputs for the outputs. */
  commit(): string[] {
    this.#forgetShared();
    if (this.#next === null) return this.#sliceWrites;
    const inputs = [this.#handle, this.#next, ...this.#reads];
    return [`^${this.#graph.node('AssignVariableOp', inputs, [attr.type('dtype', this.dtype)]).name}`];
  }
}

const gatherRows = (value: tf.Tensor, ids: tf.Tensor): tf.Tensor =>
  symbolicBackend.record('GatherV2', [], [value, ids, tf.scalar(0, 'int32')])[0]!;

/**
 * Gathers four bytes at a time: a GPU cannot gather single bytes, and the whole variable would be copied to the host. The bits do not
 * change.
 */
function gatherBytes(value: tf.Tensor, ids: tf.Tensor, dtype: DType): tf.Tensor {
  const { shape } = value;
  const bitcast = (x: tf.Tensor, to: DType) =>
    symbolicBackend.record('Bitcast', [attr.type('type', to)], [x])[0]!;
  const words = bitcast(tf.reshape(value, [...shape.slice(0, -1), shape.at(-1)! / 4, 4]), 'int32');
  return tf.reshape(bitcast(gatherRows(words, ids), dtype), [...ids.shape, ...shape.slice(1)]);
}
