import { nestedGrads, tf } from '@graft/tf-graph';
import { all, length, type Range } from '../../block-sizes/range.ts';
import { cut, joined, padded, shaped } from './cut.ts';
import type { ScoreBlock } from './masks.ts';
import { relativeBlock } from './relative-positions.ts';
import type { ScoreBias } from './score-bias.ts';

/** The rows, queries and keys of a block, and its query heads. */
export interface BiasBlock extends ScoreBlock {
  heads: Range;
}

type Parts = { first?: tf.Tensor | undefined; relative?: tf.Tensor | undefined };

/** Computes a `ScoreBias` and its gradients block by block. */
export class BlockBias {
  readonly inputs: { first: tf.Tensor | undefined; relative: tf.Tensor | undefined };
  /** Number of keys that `first` covers. */
  readonly #before: number;

  constructor({ first, relative }: ScoreBias) {
    this.inputs = { first, relative };
    this.#before = first?.shape[3] ?? 0;
  }

  /** The block's bias `(R or 1, heads, n, m)`, not computed before `after`. */
  of({ first, relative }: Parts, block: BiasBlock, after: tf.Tensor[]): tf.Tensor {
    const { early, late } = splitAt(block.keys, this.#before);
    const { rows, heads, queries } = block;
    const parts: tf.Tensor[] = [];
    if (first && early)
      parts.push(cut(first, [first.shape[0] === 1 ? all(1) : rows, heads, queries, early], after));
    if (relative && late) {
      const table = cut(relative, tableOf(relative, block), after);
      const own = tf.expandDims(relativeBlock(table, queries, late), 0);
      parts.push(parts[0] ? tf.mul(own, tf.ones([parts[0].shape[0]!, 1, 1, 1])) : own);
    }
    return joined(parts, 3);
  }

  /** Collects the gradients of the scores of each block. Add blocks in the order of rows, queries and heads. */
  gradients(): BiasGradients {
    return new BiasGradients(this.inputs, this.#before);
  }
}

/** Splits a range into the keys that `first` covers and the later ones, counted from the first later key; null where there are none. */
function splitAt({ from, to }: Range, before: number): { early: Range | null; late: Range | null } {
  return {
    early: from < before ? { from, to: Math.min(to, before) } : null,
    late: to > before ? { from: Math.max(from, before) - before, to: to - before } : null,
  };
}

const tableOf = (relative: tf.Tensor, { heads }: BiasBlock) => [all(relative.shape[0]!), heads];

class BiasGradients {
  readonly #first: tf.Tensor | undefined;
  readonly #relative: tf.Tensor | undefined;
  readonly #before: number;
  /** The gradient of `first` from each block. */
  readonly #early: { block: BiasBlock; part: tf.Tensor }[] = [];
  #table: tf.Tensor | null = null;

  constructor({ first, relative }: Parts, before: number) {
    this.#first = first;
    this.#relative = relative;
    this.#before = before;
  }

  /** Adds the gradient of a block's scores, `ds` `(R, heads, n, m)`. `relative` is the tensor kept for the backward pass. */
  take(ds: tf.Tensor, { relative }: Parts, block: BiasBlock): void {
    const [rows, heads, n] = ds.shape as [number, number, number];
    const { early, late } = splitAt(block.keys, this.#before);
    const split = early ? length(early) : 0;
    if (early) {
      const part = cut(ds, [all(rows), all(heads), all(n), all(split)], []);
      const whole = padded(part, 3, early.from, this.#before - early.to);
      this.#early.push({ block, part: whole });
    }
    if (!late || !relative) return;
    const part = cut(ds, [all(rows), all(heads), all(n), { from: split, to: ds.shape[3]! }], []);
    const own = cut(relative, tableOf(relative, block), [ds]);
    const bias = (table: tf.Tensor) => relativeBlock(table, block.queries, late);
    const [gradient] = nestedGrads(bias)([own], shaped(tf.sum(part, 0), [heads, n, length(late)]));
    const whole = padded(gradient, 1, block.heads.from, relative.shape[1]! - block.heads.to);
    this.#table = this.#table ? tf.add(this.#table, whole) : whole;
  }

  done(): { first: tf.Tensor | undefined; relative: tf.Tensor | undefined } {
    return { first: this.#first && this.#whole(this.#first), relative: this.#relative && this.#table! };
  }

  #whole(first: tf.Tensor): tf.Tensor {
    const rows = inTurn(this.#early, ({ block }) => block.rows).map((rowParts) => {
      const chunks = inTurn(rowParts, ({ block }) => block.queries).map((queryParts) => {
        const heads = queryParts.map(({ part }) => part);
        return joined(heads, 1);
      });
      return joined(chunks, 2);
    });
    const whole = joined(rows, 0);
    return first.shape[0] === whole.shape[0] ? whole : tf.sum(whole, 0, true);
  }
}

/** Groups items by the start of their range, in order. */
function inTurn<T>(items: readonly T[], rangeOf: (item: T) => Range): T[][] {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const { from } = rangeOf(item);
    groups.set(from, [...(groups.get(from) ?? []), item]);
  }
  return [...groups.values()];
}
