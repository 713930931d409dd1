// A native TensorFlow session over a graph that grows: see native/session.cc.
import { codeOf, type DType, dtypeOfCode, sizeOf, type TypedArray } from '../dtypes.ts';
import { type InferredOutput, sessions } from '../tensorflow.ts';
import type { NodeAttr } from './attributes.ts';

/** A value to be passed to the session: a native copy of an array. */
export type Feed = object & { readonly feed: unique symbol };

export function createFeed(dtype: DType, shape: readonly number[], data: TypedArray): Feed {
  return sessions.createFeed(codeOf(dtype), [...shape], data) as Feed;
}

/** A feed of zeros. Its memory is what TensorFlow will read, and takes none of the machine's until it is written. */
export interface OpenFeed {
  feed: Feed;
  values: TypedArray;
  /** Detaches `values`, which must not be read or written any more; call before the feed is passed to a run or deleted. */
  seal(): void;
}

export function openFeed(dtype: DType, shape: readonly number[]): OpenFeed {
  const { feed, memory } = sessions.openFeed(codeOf(dtype), [...shape]);
  return { feed: feed as Feed, values: viewOf(dtype, memory), seal: () => sessions.sealFeed(memory) };
}

/** Deletes a feed that is not passed to a run. */
export const deleteFeed = (feed: Feed): void => sessions.deleteFeed(feed);

export type NodeInput = string | readonly string[];

/** See `FunctionOptions` and `RunOptions` of a program. */
interface SessionRun {
  inOneThread?: boolean;
  into?: Float32Array | undefined;
}

export interface Fetched {
  shape: number[];
  data: Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array;
}

export class GraphSession {
  #session: object | null = sessions.createSession();

  /**
   * Adds a node. An input is "node:output", a list of them, or "^node" for a control input; control inputs come last. Returns the types and
   * shapes that TensorFlow infers for its outputs; throws TensorFlow's errors.
   */
  addNode(
    op: string,
    name: string,
    inputs: readonly NodeInput[],
    attrs: readonly NodeAttr[],
  ): InferredOutput[] {
    return sessions.addNode(this.#open(), op, name, inputs, attrs);
  }

  /** Runs the graph once and deletes the feeds. Names are "node:output". */
  run(
    feeds: readonly (readonly [name: string, feed: Feed])[],
    fetches: readonly string[],
    { inOneThread = false, into }: SessionRun = {},
  ): Fetched[] {
    try {
      const names = feeds.map(([name]) => name);
      const values = feeds.map(([, feed]) => feed);
      return sessions
        .runSession(this.#open(), names, values, [...fetches], inOneThread, into ?? null)
        .map(({ dtype, shape, data }) => ({
          shape,
          data: into?.subarray(0, sizeOf(shape)) ?? viewOf(dtypeOfCode(dtype), data),
        }));
    } finally {
      for (const [, feed] of feeds) deleteFeed(feed);
    }
  }

  /** Runs the graph once with RunOptions and returns the RunMetadata (config.proto); deletes the feeds. */
  trace(
    feeds: readonly (readonly [name: string, feed: Feed])[],
    fetches: readonly string[],
    options: Uint8Array,
  ): Uint8Array {
    try {
      const names = feeds.map(([name]) => name);
      const values = feeds.map(([, feed]) => feed);
      return new Uint8Array(sessions.traceSession(this.#open(), names, values, [...fetches], options));
    } finally {
      for (const [, feed] of feeds) deleteFeed(feed);
    }
  }

  /** Runs the graph once in another thread, to let TensorFlow prepare it; resolves even if the run fails. Takes ownership of the feeds. */
  async prepare(
    feeds: readonly (readonly [name: string, feed: Feed])[],
    fetches: readonly string[],
  ): Promise<void> {
    const names = feeds.map(([name]) => name);
    const values = feeds.map(([, feed]) => feed);
    await sessions.prepareSession(this.#open(), names, values, [...fetches]);
  }

  /** Frees the variables. Throws while `prepare` is running. */
  close(): void {
    if (this.#session) sessions.closeSession(this.#session);
    this.#session = null;
  }

  #open(): object {
    if (!this.#session) throw new Error('the program is closed');
    return this.#session;
  }
}

function viewOf(dtype: DType, data: ArrayBuffer): Fetched['data'] {
  switch (dtype) {
    case 'float32':
      return new Float32Array(data);
    case 'int32':
      return new Int32Array(data);
    case 'bfloat16':
      return new Uint16Array(data);
    case 'int8':
      return new Int8Array(data);
    case 'uint8':
    case 'bool':
      return new Uint8Array(data);
    default:
      throw new Error(`a ${dtype} tensor cannot be fetched: cast it first`);
  }
}
