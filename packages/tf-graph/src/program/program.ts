// Terms. A program is a set of named functions over shared variables. A function maps named inputs to named outputs and may assign
// variables; its shapes are static, except for one axis if an input varies. A feed is an input's value for one run.
import type { DType, TypedArray, VisibleDType } from '../dtypes.ts';
import type { Attr } from '../graph/attributes.ts';
import type { tf } from '../tensorflow.ts';

export interface InputSpec {
  /** If the input varies, the first size is the maximum. */
  readonly shape: readonly number[];
  readonly dtype: VisibleDType;
  /**
   * The first axis may be shorter, equally for all varying inputs of a function, which must have the same first size. While the function is
   * traced, the axis has a size that represents the varying one; an operation that would make it a constant throws `VaryingSizeError`.
   */
  readonly varies?: true;
}
export interface VariableSpec {
  name: string;
  shape: readonly number[];
  /** Storage type of the values; default float32. */
  dtype?: DType;
}

export interface ReadOptions {
  after?: tf.Tensor[];
  stored?: boolean;
}

export interface GatherOptions {
  /** See ReadOptions. */
  stored?: boolean;
  /** Set for a variable that another function writes in parts: otherwise TensorFlow first copies the whole variable. */
  partlyWritten?: boolean;
}

/** State of a program. Only usable inside a function's body. */
export interface Variable {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: DType;
  /**
   * Returns the value: float32 for float32, bfloat16 and half storage, otherwise as stored. `after`: read and unpack it only after these
   * tensors are computed, so that an unpacked copy lives only while it is needed; reads with `after` are never shared. `stored`: return the
   * storage type without unpacking (tfjs sees float32 instead of bfloat16; in eager mode it is float32).
   */
  read(options?: ReadOptions): tf.Tensor;
  /**
   * Returns the rows `[…ids, …shape[1:]]` at `ids` (int32 or int64) as read() does, without unpacking the others. The ids are not checked
   * while tracing; an id outside the first axis fails the run on a CPU and gives zeros on a GPU.
   */
  gather(ids: tf.Tensor, options?: GatherOptions): tf.Tensor;
  /** Sets the value before the function's outputs are returned. Every read in the same function sees the old value. */
  assign(value: tf.Tensor): void;
  /**
   * Writes `value` as the block that starts at `begin` (int32 [rank]), in place, after the preceding reads; returns the whole variable
   * after the write, which later reads also see.
   */
  assignSlice(begin: tf.Tensor, value: tf.Tensor): tf.Tensor;
  /** Writes `value` `(n, …)` as the rows `at` (int32 or int64 [n]), in place, after the preceding reads; later reads see them. */
  assignRows(at: tf.Tensor, value: tf.Tensor): void;
  /**
   * Runs the op `op` with the variable as its first input, which it reads and writes in place, after preceding reads and writes and before
   * those that follow. Only while tracing.
   */
  inPlace(op: string, attrs: Attr[], inputs: tf.Tensor[]): tf.Tensor[];
}

/** A variable's spec with all defaults applied. */
export interface FullVariableSpec {
  name: string;
  shape: number[];
  dtype: DType;
}

/** A function's inputs by name; `undefined` for an input that it does not have. */
export type InputSpecs = Readonly<Record<string, InputSpec | undefined>>;
export type OutputTensors = Readonly<Record<string, tf.Tensor | undefined>>;

/** `Value` for each name; optional if the name is. */
type ForEach<Names, Present, Value> = {
  [N in keyof Names]: Names[N] extends Present ? Value : Value | undefined;
};
export type InputTensors<I extends InputSpecs> = ForEach<I, InputSpec, tf.Tensor>;
export type Feeds<I extends InputSpecs> = Readonly<ForEach<I, InputSpec, TypedArray>>;
export type RunOutputs<O extends OutputTensors> = ForEach<O, tf.Tensor, RunOutput>;

/** A function of a program, as ProgramBuilder.function returns it and Program.run takes it. */
export interface ProgramFunction<I extends InputSpecs = InputSpecs, O extends OutputTensors = OutputTensors> {
  readonly name: string;
  readonly inputs: I;
  body(inputs: InputTensors<I>): O;
  /** Set by `FunctionOptions`. */
  readonly inOneThread?: boolean;
}

export interface FunctionOptions {
  /**
   * Default false. TensorFlow's executor runs nodes one after another in the calling thread instead of handing those that are ready to its
   * threads; a node may still use several. For functions of many small nodes, where handing over takes longer than the node.
   */
  inOneThread?: boolean;
}

export interface RunOutput {
  shape: number[];
  /** Uint8Array for bool, Int32Array for integers, Float32Array for all floats. */
  data: Float32Array | Int32Array | Uint8Array;
}

export interface RunOptions {
  /**
   * For a function with one float32 output: receives its data, instead of a new array, which the garbage collector would have to free. The
   * output is a part of it, valid until the next run with the same array.
   */
  into?: Float32Array | undefined;
}

export function scalarOf({ shape, data }: RunOutput): number {
  const [value] = data;
  if (value === undefined || data.length > 1)
    throw new Error(`an output of shape [${shape}] is not a scalar`);
  return value;
}

export const presentIn = <T>(record: Readonly<Record<string, T | undefined>>): [string, T][] =>
  Object.entries(record).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));

/** Variables whose values are written together. */
export interface Filling {
  names: readonly string[];
  /** Writes into arrays of zeros, one for each variable, which are empty afterwards. bfloat16 takes bit patterns. Absent: all are zeros. */
  write?(values: TypedArray[]): Promise<void> | void;
}

export interface Program {
  /** Adds variables and functions, for ProgramBuilder. Existing variables keep their values. */
  add(variables: readonly FullVariableSpec[], functions: readonly ProgramFunction[]): void;
  /**
   * Sets variables one after another: each array is copied into TensorFlow at once and may then be freed. bfloat16 takes bit patterns
   * (Uint16Array) or Float32Array, which is rounded. Throws for an unknown name, or a wrong length or array type.
   */
  write(values: Iterable<[string, TypedArray]> | AsyncIterable<[string, TypedArray]>): Promise<void>;
  /**
   * Sets variables whose values are written in place, so that no value is in memory twice: one filling after another. What a filling does
   * not write is zero, and takes no memory where TensorFlow computes on the host, until a function writes it.
   */
  fill(fillings: Iterable<Filling> | AsyncIterable<Filling>): Promise<void>;
  /** Returns values as stored; bfloat16 as bit patterns. */
  read(names: string[]): Map<string, Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array>;
  /**
   * Prepares a function's first run: TensorFlow optimizes and copies its graph, which takes time and memory. Runs in another thread, so
   * values may be written meanwhile. Only for a function that reads variables without values, which must not get values until the promise
   * resolves, because the function would then compute. The program must not be closed until then.
   */
  prepare(fn: ProgramFunction): Promise<void>;
  /** Runs a function. Blocks the event loop until it has finished. */
  run<I extends InputSpecs, O extends OutputTensors>(
    fn: ProgramFunction<I, O>,
    feeds: Feeds<I>,
    options?: RunOptions,
  ): RunOutputs<O>;
  /** Frees the variables. */
  close(): void;
}

/** The program's variables, to which the builder's variables refer while a function's body runs; null otherwise. */
export interface CurrentRun {
  variables: ReadonlyMap<string, Variable> | null;
}

export function callBody(
  current: CurrentRun,
  variables: ReadonlyMap<string, Variable>,
  fn: ProgramFunction,
  inputs: InputTensors<InputSpecs>,
) {
  if (current.variables) throw new Error(`function "${fn.name}" cannot run inside another function's body`);
  current.variables = variables;
  try {
    return fn.body(inputs);
  } finally {
    current.variables = null;
  }
}
