// A program without a graph: bodies run op by op. For small tests, gradient checks and debugging.
import { fromBfloat16, toBfloat16 } from '../bfloat16.ts';
import { type DType, type TypedArray, visibleOf } from '../dtypes.ts';
import { attr } from '../graph/attributes.ts';
import { eagerTensor } from '../ops/eager-ops.ts';
import { cast, rawOp, storageOf } from '../ops/raw-op.ts';
import { tf } from '../tensorflow.ts';
import { checkFeeds, checkValue, lookUp, zerosOf } from './checks.ts';
import {
  type CurrentRun,
  callBody,
  type Feeds,
  type Filling,
  type FullVariableSpec,
  type InputSpecs,
  type OutputTensors,
  type Program,
  type ProgramFunction,
  presentIn,
  type RunOutputs,
  type Variable,
} from './program.ts';

export class EagerProgram implements Program {
  readonly #variables = new Map<string, EagerVariable>();
  readonly #functions = new Map<string, ProgramFunction>();
  readonly #current: CurrentRun;

  constructor(current: CurrentRun) {
    this.#current = current;
  }

  add(variables: readonly FullVariableSpec[], functions: readonly ProgramFunction[]): void {
    for (const spec of variables) this.#variables.set(spec.name, new EagerVariable(spec));
    for (const fn of functions) this.#functions.set(fn.name, fn);
  }

  async write(values: Iterable<[string, TypedArray]> | AsyncIterable<[string, TypedArray]>): Promise<void> {
    for await (const [name, data] of values) {
      const variable = lookUp(this.#variables, 'variable', name);
      checkValue(variable, data);
      variable.set(variable.fromHost(data));
    }
  }

  async fill(fillings: Iterable<Filling> | AsyncIterable<Filling>): Promise<void> {
    for await (const { names, write } of fillings) {
      const variables = names.map((name) => lookUp(this.#variables, 'variable', name));
      const values = variables.map(zerosOf);
      await write?.(values);
      for (const [i, variable] of variables.entries()) variable.set(variable.fromHost(values[i]!));
    }
  }

  read(names: string[]): ReturnType<Program['read']> {
    return new Map(names.map((name) => [name, lookUp(this.#variables, 'variable', name).toHost()]));
  }

  /** Does nothing, because there is no graph. */
  async prepare(): Promise<void> {}

  run<I extends InputSpecs, O extends OutputTensors>(
    { name }: ProgramFunction<I, O>,
    feeds: Feeds<I>,
  ): RunOutputs<O> {
    const fn = lookUp(this.#functions, 'function', name);
    const given = checkFeeds(fn, feeds);
    const results = tf.tidy(() => {
      const inputs = given.map(({ name, input, data }) => [
        name,
        eagerTensor(input.dtype, input.shape, data),
      ]);
      const tensors = callBody(this.#current, this.#variables, fn, Object.fromEntries(inputs));
      const outputs = presentIn(tensors).map(([output, value]) => {
        const data = cast(value, visibleOf(storageOf(value))).dataSync() as Float32Array;
        return [output, { shape: value.shape, data }];
      });
      for (const variable of this.#variables.values()) variable.commit();
      return Object.fromEntries(outputs);
    });
    return results as RunOutputs<O>;
  }

  close(): void {
    for (const variable of this.#variables.values()) variable.dispose();
  }
}

class EagerVariable implements Variable {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: DType;
  #value: tf.Tensor | null = null;
  #next: tf.Tensor | null = null;

  constructor({ name, shape, dtype }: FullVariableSpec) {
    this.name = name;
    this.shape = shape;
    this.dtype = dtype;
  }

  fromHost(data: TypedArray): tf.Tensor {
    if (this.dtype === 'bfloat16') {
      const patterns = data instanceof Float32Array ? toBfloat16(data) : (data as Uint16Array);
      return eagerTensor('float32', this.shape, fromBfloat16(patterns));
    }
    if (this.dtype === 'int8')
      return tf.tidy(() => cast(tf.tensor(Int32Array.from(data), this.shape, 'int32'), 'int8'));
    return eagerTensor(this.dtype, this.shape, data);
  }

  toHost(): Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array {
    const value = this.#held();
    const data = tf.tidy(() => cast(value, visibleOf(storageOf(value))).dataSync());
    if (this.dtype === 'bfloat16') return toBfloat16(data as Float32Array);
    if (this.dtype === 'int8') return Int8Array.from(data);
    return this.dtype === 'uint8' ? Uint8Array.from(data) : (data as Float32Array);
  }

  set(value: tf.Tensor): void {
    this.#value?.dispose();
    this.#value = tf.keep(value);
  }

  read(): tf.Tensor {
    return this.#held().clone();
  }

  gather(ids: tf.Tensor): tf.Tensor {
    return rawOp('GatherV2', [], [this.#held(), ids, tf.scalar(0, 'int32')])[0]!;
  }

  assign(value: tf.Tensor): void {
    if (this.#next) throw new Error(`variable "${this.name}" is assigned twice in one function`);
    tf.util.assertShapesMatch(value.shape, this.shape, `variable "${this.name}" is assigned: `);
    this.#next = tf.keep(cast(value, this.dtype).clone());
  }

  assignSlice(begin: tf.Tensor, value: tf.Tensor): tf.Tensor {
    if (this.#next) throw new Error(`variable "${this.name}" is assigned twice in one function`);
    const end = tf.add(begin, tf.tensor1d(value.shape, 'int32'));
    const strides = tf.tensor1d(
      value.shape.map(() => 1),
      'int32',
    );
    const [updated] = rawOp(
      'TensorStridedSliceUpdate',
      [attr.type('Index', 'int32')],
      [this.#held(), begin, end, strides, cast(value, this.dtype)],
    );
    this.set(updated!);
    return this.read();
  }

  assignRows(at: tf.Tensor, value: tf.Tensor): void {
    if (this.#next) throw new Error(`variable "${this.name}" is assigned twice in one function`);
    const indices = tf.expandDims(at, 1);
    const attrs = [attr.type('Tindices', 'int32')];
    this.set(rawOp('TensorScatterUpdate', attrs, [this.#held(), indices, cast(value, this.dtype)])[0]!);
  }

  inPlace(op: string): tf.Tensor[] {
    throw new Error(`${op} changes variable "${this.name}" in place, which only a traced program can`);
  }

  commit(): void {
    if (this.#next) this.set(this.#next);
    this.#next = null;
  }

  dispose(): void {
    this.#value?.dispose();
    this.#next?.dispose();
    this.#value = null;
    this.#next = null;
  }

  #held(): tf.Tensor {
    if (!this.#value) throw new Error(`variable "${this.name}" has no value yet: write it first`);
    return this.#value;
  }
}
