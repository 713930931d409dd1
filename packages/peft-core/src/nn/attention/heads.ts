import { tf } from '@graft/tf-graph';
import { type Columns, separate } from '../columns.ts';
import { flowing, usesKernels } from '../computation.ts';
import { type RotaryTable, type Rotation, rotaryTable, rotate } from './rotary.ts';

/** How the heads of one attention lie in its queries, keys and values, and how queries and keys are prepared. */
export interface Heads {
  heads: number;
  /** Number of key heads, each shared by `heads / kvHeads` query heads. */
  kvHeads: number;
  headSize: number;
  /** Factor of the queries. */
  scale: number;
  /** Rotary embedding of queries and keys; absent where the model encodes positions in another way. */
  rotation?: Rotation;
}

/**
 * Queries `(N, heads · D)`, keys and values `(N, kvHeads · D)`, as the projections return them: three matrices, or one that holds
 * them side by side.
 */
export type Projections = Columns;

export function queriesKeysValues(projections: Projections, { heads, kvHeads, headSize }: Heads) {
  const widths = [heads * headSize, kvHeads * headSize, kvHeads * headSize];
  const [q, k, v] = separate(projections, widths) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return { q, k, v };
}

/** x `(rows · T, count · D)` → `(rows, count, T, D)`. */
export function byHead(x: tf.Tensor, rows: number, headSize: number): tf.Tensor {
  const [positions, width] = x.shape as [number, number];
  return tf.transpose(tf.reshape(x, [rows, positions / rows, width / headSize, headSize]), [0, 2, 1, 3]);
}

/** x `(rows, count, T, D)` → `(rows · T, count · D)`. */
export function sideBySide(x: tf.Tensor): tf.Tensor {
  const [rows, count, tokens, headSize] = x.shape as [number, number, number, number];
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [rows * tokens, count * headSize]);
}

/** With kernels, the result stays in float32, like the stock attention operations in the same graph. */
const scaled = (x: tf.Tensor, scale: number): tf.Tensor =>
  usesKernels() ? tf.mul(x, scale) : flowing(tf.mul(x, scale));

/** The cosine and sine tables for queries and keys of each rotation that the layers share. */
export class RotaryTables {
  readonly #keep: (x: tf.Tensor) => tf.Tensor;
  readonly #tables = new Map<tf.Tensor, Map<number, RotaryTable>>();

  /** `keep` is called with each table created, so that the caller decides how long it lives. */
  constructor(keep: (x: tf.Tensor) => tf.Tensor = (x) => x) {
    this.#keep = keep;
  }

  #table(rotation: Rotation, scale: number): RotaryTable {
    const known = this.#tables.get(rotation.cosines) ?? new Map<number, RotaryTable>();
    this.#tables.set(rotation.cosines, known);
    const made = known.get(scale) ?? rotaryTable(rotation, scale);
    if (!known.has(scale)) known.set(scale, { cos: this.#keep(made.cos), sin: this.#keep(made.sin), scale });
    return known.get(scale)!;
  }

  /** The queries, keys and values of a site by head, `(rows, count, T, D)` each; queries and keys scaled and rotated. */
  byHead(projections: Projections, heads: Heads, rows: number) {
    const { q, k, v } = queriesKeysValues(projections, heads);
    return {
      q: this.turned(q, heads, rows, heads.scale),
      k: this.turned(k, heads, rows, 1),
      v: byHead(v, rows, heads.headSize),
    };
  }

  /** x `(rows · T, count · D)` → `(rows, count, T, D)`, scaled, and rotated if there is a rotation. */
  turned(x: tf.Tensor, { headSize, rotation }: Heads, rows: number, scale: number): tf.Tensor {
    if (!rotation) return byHead(scale === 1 ? x : scaled(x, scale), rows, headSize);
    const [positions, width] = x.shape as [number, number];
    const split = tf.reshape(x, [positions, width / headSize, headSize]);
    return byHead(
      tf.reshape(rotate(split, this.#table(rotation, scale)), [positions, width]),
      rows,
      headSize,
    );
  }
}
