// Terms. A program is a set of named functions over shared variables. A function maps named inputs to named outputs and
// may assign variables; its shapes are static, but for one axis where an input varies. A feed is an input's value for one run.
import type { DType, TypedArray, VisibleDType } from '../dtypes.ts';
import type { Attr } from '../graph/attributes.ts';
import type { tf } from '../tensorflow.ts';

export interface InputSpec {
  /** Where it varies, the first size is the most. */
  readonly shape: readonly number[];
  readonly dtype: VisibleDType;
  /**
   * The first axis may be shorter, by as much for all inputs of a function that vary, whose first sizes are the same. While the
   * function is traced the axis has a size that stands for it; what would make a constant of that is a `VaryingSizeError`.
   */
  readonly varies?: true;
}
export interface VariableSpec {
  name: string;
  shape: readonly number[];
  /** How the values are stored; float32 unless given. */
  dtype?: DType;
}

export interface ReadOptions {
  after?: tf.Tensor[];
  stored?: boolean;
}

export interface GatherOptions {
  /** As read's. */
  stored?: boolean;
  /** Of a variable that another function writes in parts: without this TensorFlow first copies all of it. */
  partlyWritten?: boolean;
}

/** State of a program. Only usable inside a function's body. */
export interface Variable {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: DType;
  /**
   * The value: float32 for float32, bfloat16 and half storage, else as stored. `after`: neither read nor unpacked before
   * these tensors are computed, so that an unpacked copy lives only while it is needed; reads with `after` are never shared.
   * `stored`: the value in its storage type, not unpacked (tfjs is shown float32 for bfloat16; eagerly it is float32).
   */
  read(options?: ReadOptions): tf.Tensor;
  /**
   * Rows `[…ids, …shape[1:]]` at `ids` (int32 or int64) as read() gives them, without unpacking the others. The ids are not
   * checked while tracing; one outside the first axis fails the run on a CPU and gives zeros on a GPU.
   */
  gather(ids: tf.Tensor, options?: GatherOptions): tf.Tensor;
  /** Sets the value before the function's outputs are returned. Every read in the same function sees the old value. */
  assign(value: tf.Tensor): void;
  /**
   * Writes `value` as the block that starts at `begin` (int32 [rank]), in place, after the reads made before; returns the
   * whole variable after the write, which later reads see too.
   */
  assignSlice(begin: tf.Tensor, value: tf.Tensor): tf.Tensor;
  /** Writes `value` `(n, …)` as the rows `at` (int32 or int64 [n]), in place, after the reads made before; later ones see them. */
  assignRows(at: tf.Tensor, value: tf.Tensor): void;
  /**
   * The op `op` on the variable itself, its first input, which it reads and writes in place: after the reads and writes made before,
   * and before those that follow. Only while tracing.
   */
  inPlace(op: string, attrs: Attr[], inputs: tf.Tensor[]): tf.Tensor[];
}

/** A variable's spec with everything decided. */
export interface FullVariableSpec {
  name: string;
  shape: number[];
  dtype: DType;
}

/** A function's inputs by name; `undefined` for one that it does not have. */
export type InputSpecs = Readonly<Record<string, InputSpec | undefined>>;
export type OutputTensors = Readonly<Record<string, tf.Tensor | undefined>>;

/** `Value` for each name; where the name may be missing, so may the value. */
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
}

export interface RunOutput {
  shape: number[];
  /** Uint8Array for bool, Int32Array for integers, Float32Array for all floats. */
  data: Float32Array | Int32Array | Uint8Array;
}

/** The number that a scalar output holds. */
export function scalarOf({ shape, data }: RunOutput): number {
  const [value] = data;
  if (value === undefined || data.length > 1)
    throw new Error(`an output of shape [${shape}] is not a scalar`);
  return value;
}

/** The entries that have a value. */
export const presentIn = <T>(record: Readonly<Record<string, T | undefined>>): [string, T][] =>
  Object.entries(record).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));

export interface Program {
  /** For ProgramBuilder: more variables and functions. Those that are there keep their values. */
  add(variables: readonly FullVariableSpec[], functions: readonly ProgramFunction[]): void;
  /**
   * Sets variables one after the other: each array is copied into TensorFlow at once and may then be freed. bfloat16 takes bit
   * patterns (Uint16Array) or Float32Array, which is rounded. Throws on an unknown name, a wrong length or array type.
   */
  write(values: Iterable<[string, TypedArray]> | AsyncIterable<[string, TypedArray]>): Promise<void>;
  /** Values as stored; bfloat16 as bit patterns. */
  read(names: string[]): Map<string, Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array>;
  /**
   * Does what a function's first run would do before it computes: TensorFlow optimizes and copies its graph, which takes time and
   * memory: in another thread, so that values may be written meanwhile. For a function that reads variables which have no values yet,
   * and get none until the promise is kept, or it would compute. The program is not closed until then.
   */
  prepare(fn: ProgramFunction): Promise<void>;
  /** Runs a function. Blocks the event loop until it has finished. */
  run<I extends InputSpecs, O extends OutputTensors>(
    fn: ProgramFunction<I, O>,
    feeds: Feeds<I>,
  ): RunOutputs<O>;
  /** Frees the variables. */
  close(): void;
}

/** The program's variables, which the builder's variables use while a function's body runs; null otherwise. */
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
