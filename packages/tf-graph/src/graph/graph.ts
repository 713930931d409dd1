// Assigns node names in a session's graph, and shares equal constants.
import { createHash } from 'node:crypto';
import { toBfloat16 } from '../bfloat16.ts';
import { codeOf, type DType, sizeOf, type VisibleDType } from '../dtypes.ts';
import type { InferredOutput } from '../tensorflow.ts';
import { attr, type NodeAttr } from './attributes.ts';
import { clusterAttrs } from './clusters.ts';
import type { GraphSession, NodeInput } from './graph-session.ts';
import { type GraphRecord, recordOfGraph } from './recording.ts';

/** The value of a tensor that was created on the host while tracing (tf.scalar, tf.tensor, tf.ones). */
export interface HostValue {
  values: ArrayLike<number> | ArrayLike<boolean>;
  shape: number[];
  dtype: VisibleDType;
}

/** A uniform constant with more elements than this becomes a Fill op, which takes no space in the graph. */
const fillThreshold = 64;

/** A node of the graph, with the types and shapes that TensorFlow infers for its outputs. */
export interface GraphNode {
  name: string;
  outputs: InferredOutput[];
}

export class Graph {
  readonly #session: GraphSession;
  readonly #compiled: boolean;
  readonly #record: GraphRecord | null = recordOfGraph();
  #count = 0;
  #constants = new Map<string, string>();
  #scope = '';
  #names = new Set<string>();

  /** With `compiled`, XLA compiles each cluster of nodes that it supports. */
  constructor(session: GraphSession, compiled = false) {
    this.#session = session;
    this.#compiled = compiled;
  }

  /** Records which nodes a run of a function feeds and fetches. */
  endFunction(name: string, feeds: string[], fetches: string[]): void {
    this.#record?.addFunction(name, feeds, fetches);
  }

  /** Names nodes created inside `body` `scope/…`. */
  within<T>(scope: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = this.#unique(clean(scope));
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** Adds a node, called `name` if that is given and unused. Inputs are those of GraphSession.addNode. */
  node(op: string, inputs: readonly NodeInput[], attrs: readonly NodeAttr[], name?: string): GraphNode {
    const base = name === undefined ? `${op}_${this.#count}` : clean(name);
    return this.#add(op, inputs, attrs, this.#scope ? `${this.#scope}/${base}` : base);
  }

  /** Returns "node:0" of a scalar that is available once the control inputs `after` have run. */
  done(after: readonly string[], name: string): string {
    const tensor = { dtype: codeOf('int32'), shape: [], content: new Uint8Array(4) };
    return `${this.node('Const', after, [attr.type('dtype', 'int32'), { name: 'value', tensor }], name).name}:0`;
  }

  #add(op: string, inputs: readonly NodeInput[], attrs: readonly NodeAttr[], wanted: string): GraphNode {
    const name = this.#unique(wanted);
    const outputs = this.#session.addNode(op, name, inputs, [
      ...attrs,
      ...(this.#compiled ? clusterAttrs(op, this.#scope) : []),
    ]);
    this.#record?.add(op, name, inputs, attrs, outputs);
    this.#count++;
    return { name, outputs };
  }

  /** Returns "node:0" of a constant with the values `host` as `dtype`; equal constants share a node. */
  constant(host: HostValue, dtype: DType): string {
    const size = sizeOf(host.shape);
    if (size > fillThreshold && isUniform(host.values)) {
      const dims = this.constant({ values: host.shape, shape: [host.shape.length], dtype: 'int32' }, 'int32');
      const value = this.constant({ values: [Number(host.values[0])], shape: [], dtype: host.dtype }, dtype);
      return this.#shared(`Fill ${dims} ${value}`, () =>
        this.#unscoped('Fill', [dims, value], [attr.type('T', dtype), attr.type('index_type', 'int32')]),
      );
    }
    const content = encode(host.values, dtype);
    const digest =
      content.length <= 64
        ? Buffer.from(content).toString('hex')
        : createHash('sha256').update(content).digest('hex');
    return this.#shared(`Const ${dtype} ${host.shape} ${digest}`, () =>
      this.#unscoped(
        'Const',
        [],
        [
          attr.type('dtype', dtype),
          { name: 'value', tensor: { dtype: codeOf(dtype), shape: [...host.shape], content } },
        ],
      ),
    );
  }

  /** Adds a node outside any function's scope, since several functions may use it. */
  #unscoped(op: string, inputs: string[], attrs: NodeAttr[]): string {
    return this.#add(op, inputs, attrs, `shared/${op}_${this.#count}`).name;
  }

  #shared(key: string, make: () => string): string {
    let name = this.#constants.get(key);
    if (!name) {
      name = make();
      this.#constants.set(key, name);
    }
    return `${name}:0`;
  }

  #unique(name: string): string {
    let unique = name;
    for (let i = 1; this.#names.has(unique); i++) unique = `${name}_${i}`;
    this.#names.add(unique);
    return unique;
  }
}

/** Converts to a valid node name: letters, digits and _ . - / after a first letter, digit or dot. */
const clean = (name: string) => name.replace(/[^A-Za-z0-9_.\-/]/g, '_').replace(/^[^A-Za-z0-9.]/, 'x$&');

function isUniform(values: HostValue['values']): boolean {
  const first = values[0];
  for (let i = 1; i < values.length; i++) if (values[i] !== first) return false;
  return true;
}

/** Encodes `values` as little-endian bytes of `dtype`. */
function encode(values: HostValue['values'], dtype: DType): Uint8Array {
  const numbers = values as ArrayLike<number>;
  const typed = () => {
    switch (dtype) {
      case 'float32':
        return Float32Array.from(numbers);
      case 'float64':
        return Float64Array.from(numbers);
      case 'bfloat16':
        return toBfloat16(Float32Array.from(numbers));
      case 'int32':
        return Int32Array.from(numbers);
      case 'int64':
        return BigInt64Array.from(Array.from(numbers, (x) => BigInt(x)));
      case 'int16':
        return Int16Array.from(numbers);
      case 'uint16':
        return Uint16Array.from(numbers);
      case 'int8':
        return Int8Array.from(numbers);
      case 'uint8':
      case 'bool':
        return Uint8Array.from(numbers);
      case 'half':
        throw new Error('a constant cannot be half: cast it from float32');
    }
  };
  const array = typed();
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
