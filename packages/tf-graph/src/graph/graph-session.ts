// A native TensorFlow session over a graph that grows: see native/session.cc.
import { codeOf, type DType, dtypeOfCode, type TypedArray } from '../dtypes.ts';
import { sessions } from '../tensorflow.ts';
import { encodeGraph, type NodeDef } from './graph-def.ts';

/** A value on its way into the session: a native copy of an array. */
export type Feed = object & { readonly feed: unique symbol };

export function createFeed(dtype: DType, shape: readonly number[], data: TypedArray): Feed {
  return sessions.createFeed(codeOf(dtype), [...shape], data) as Feed;
}

/** For feeds that no run takes. */
export const deleteFeed = (feed: Feed): void => sessions.deleteFeed(feed);

export interface Fetched {
  shape: number[];
  data: Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array;
}

export class GraphSession {
  #session: object | null = sessions.createSession();

  /** Adds nodes, whose inputs may be nodes added before. */
  extend(nodes: readonly NodeDef[]): void {
    const added = new Set(nodes.map(({ name }) => name));
    const outside = new Set(
      nodes.flatMap(({ inputs }) => inputs).filter((input) => !added.has(nodeOfInput(input))),
    );
    sessions.extendSession(this.#open(), encodeGraph(nodes), [...outside]);
  }

  /** One run; deletes the feeds. Names are "node:output". */
  run(feeds: readonly (readonly [name: string, feed: Feed])[], fetches: readonly string[]): Fetched[] {
    try {
      const names = feeds.map(([name]) => name);
      const values = feeds.map(([, feed]) => feed);
      return sessions
        .runSession(this.#open(), names, values, [...fetches])
        .map(({ dtype, shape, data }) => ({ shape, data: viewOf(dtypeOfCode(dtype), data) }));
    } finally {
      for (const [, feed] of feeds) deleteFeed(feed);
    }
  }

  /** Frees the variables. */
  close(): void {
    if (this.#session) sessions.closeSession(this.#session);
    this.#session = null;
  }

  #open(): object {
    if (!this.#session) throw new Error('the program is closed');
    return this.#session;
  }
}

/** "node" of "node:1" and "^node". */
const nodeOfInput = (input: string) =>
  input.startsWith('^') ? input.slice(1) : input.slice(0, input.lastIndexOf(':'));

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
