import { cast, customGradient, rawOp, tf, withControlDependency, withNestedGradients } from '@graft/tf-graph';
import type { BlockPlan, Chunk } from '../../block-sizes/plan-blocks.ts';
import { all, length, type Range } from '../../block-sizes/range.ts';
import { exactly, factorType, flowing } from '../computation.ts';
import { dropoutMask, nextSeed, type RandomState } from '../dropout.ts';
import { flowingMatmul, matmul } from '../matmul.ts';
import { costly } from '../recompute.ts';
import { type BiasBlock, BlockBias } from './block-bias.ts';
import { cut, joined, padded, shaped } from './cut.ts';
import { MASKED, type Mask } from './masks.ts';
import type { ScoreBias } from './score-bias.ts';
import { softmaxWithSinks } from './sinks.ts';

export interface BlockOptions {
  bias?: ScoreBias | undefined;
  dropout?: { probability: number; random: RandomState } | undefined;
  sinks?: tf.Tensor | undefined;
}

/** The scores of one block. `heads` are heads of queries. */
interface Block extends BiasBlock {
  /** Ranges of the block's queries, for all axes but the last of `(R, kvHeads, group, n, D)`. */
  query: Range[];
  /** Ranges of the block's keys and values, `(R, kvHeads, m, D)`. */
  key: Range[];
}

/**
 * Computes `attention` in blocks of queries and heads, one after the other, so that only one block's scores are in memory. The result is
 * exact: each block has all keys that its queries see. q `(B, heads, n, D)` is already scaled; k and v `(B, kvHeads, T, D)`. Keeps q, k, v
 * and the output, and recomputes the probabilities block by block for the backward pass.
 */
export function attentionInBlocks(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  mask: Mask,
  plan: BlockPlan,
  { bias, dropout, sinks: given }: BlockOptions,
): tf.Tensor {
  const [batch, heads, n, width] = q.shape as [number, number, number, number];
  const [kvHeads, tokens] = [k.shape[1]!, k.shape[2]!];
  const group = heads / kvHeads;
  const byGroup = [batch, kvHeads, group, n, width];
  const blocks = plan.rows.map((rows) =>
    plan.chunks.map((chunk) => chunk.heads.map((heads) => blockOf(rows, chunk, heads, group, width))),
  );
  const drops = dropout && dropout.probability > 0 ? dropout : null;
  const count = blocks.flat(2).length;
  const seeds = drops ? Array.from({ length: count }, () => nextSeed(drops.random)) : [];
  const operands = blocks.map((chunks) => chunks.map(([first]) => mask.operandsOf(first!)));

  const added = bias && new BlockBias(bias);
  /** The shape `(R, heads, n, m)` for products `(R, kvHeads, group · n, m)`. */
  const scoresOf = ({ shape }: tf.Tensor) => [shape[0]!, shape[1]! * group, shape[2]! / group, shape[3]!];
  /** The probabilities of one block, `(R, kvHeads, group · n, m)`, and the shares of its sinks, `(R, kvHeads, group · n, 1)`. */
  function probabilities(
    q: tf.Tensor,
    k: tf.Tensor,
    seen: tf.Tensor,
    bias: tf.Tensor | undefined,
    sinks: tf.Tensor | undefined,
  ): { p: tf.Tensor; sink?: tf.Tensor } {
    const products = matmul(q, k, false, true);
    const scores = shaped(products, scoresOf(products));
    const biased = bias ? tf.add(scores, bias) : scores;
    const masked = rawOp('SelectV2', [], [seen, biased, tf.scalar(MASKED)])[0]!;
    const { keys, sink } = softmaxWithSinks(masked, sinks);
    const p = shaped(keys, products.shape);
    return sink ? { p, sink: shaped(sink, [...products.shape.slice(0, -1), 1]) } : { p };
  }
  /** Applies dropout to `p` or to a gradient of `p`. */
  const drop = (p: tf.Tensor, seed: tf.Tensor | undefined, after: tf.Tensor) =>
    drops && seed ? tf.mul(p, dropoutMask(p.shape, drops.probability, seed, after)) : p;
  /** Stacks the query heads that share a key head, `(R, kvHeads, group · n, D)`, so that keys need not be copied for each query head. */
  const stacked = (x: tf.Tensor, block: Block, after: tf.Tensor[]) => {
    const part = cut(x, [...block.query, all(x.shape[4]!)], after);
    return shaped(part, [part.shape[0]!, part.shape[1]!, group * length(block.queries), part.shape[4]!]);
  };
  const unstacked = (x: tf.Tensor, { queries }: Block) =>
    shaped(x, [x.shape[0]!, x.shape[1]!, group, length(queries), x.shape[3]!]);

  const inputs = {
    q: flowing(shaped(q, byGroup)),
    k: flowing(k),
    v: flowing(v),
    sinks: given,
    ...added?.inputs,
  };
  /** The sinks of a block's heads, `(1, heads, 1, 1)`. */
  const sinksOf = (sinks: tf.Tensor | undefined, { heads }: Block, after: tf.Tensor[]) =>
    sinks && tf.reshape(cut(sinks, [heads], after), [1, length(heads), 1, 1]);
  function forward(): tf.Tensor {
    const left = [...seeds];
    let after: tf.Tensor[] = [];
    const rows = blocks.map((chunks, r) => {
      const parts = chunks.map((blocks, c) => {
        const seen = mask.seen(operands[r]![c]!, after);
        const outputs = blocks.map((block) => {
          const [q, k, v] = [
            stacked(inputs.q, block, after),
            cut(inputs.k, block.key, after),
            cut(inputs.v, block.key, after),
          ];
          const bias = added?.of(added.inputs, block, after);
          const { p } = probabilities(q, k, seen, bias, sinksOf(inputs.sinks, block, after));
          const y = flowingMatmul(drop(p, left.shift(), q), v);
          after = [y];
          return unstacked(y, block);
        });
        return joined(outputs, 1);
      });
      return joined(parts, 3);
    });
    return joined(rows, 0);
  }

  const [y] = costly(() => [withNestedGradients(forward)]) as [tf.Tensor];
  const result = customGradient({
    inputs,
    keep: { ...inputs, y, seeds, operands: operands.flat(2) },
    value: () => y,
    gradient(dy, { q, k, v, sinks, y, seeds, operands: compared, ...ofBias }) {
      const [left, parts] = [[...seeds], [...compared]];
      // Σ p · dp for each query equals the query's output times the output's gradient. (B, kvHeads, group, n, 1)
      const sums = tf.sum(tf.mul(exactly(withControlDependency(y, dy)), exactly(dy)), -1, true);
      const gradients = added?.gradients();
      let sinkGradients: tf.Tensor | undefined;
      let after = [dy];
      const rows = blocks.map((chunks, r) => {
        const [keys, values] = [new KeySums(), new KeySums()];
        const queries = chunks.map((blocks, c) => {
          const seen = mask.seen(parts.splice(0, operands[r]![c]!.length), after);
          const each = blocks.map((block) => {
            const [ofQ, ofK, ofV] = [
              stacked(q, block, after),
              cut(k, block.key, after),
              cut(v, block.key, after),
            ];
            const [ofDy, ofSums] = [stacked(dy, block, after), stacked(sums, block, after)];
            const seed = left.shift();
            const { p, sink } = probabilities(
              ofQ,
              ofK,
              seen,
              added?.of(ofBias, block, after),
              sinksOf(sinks, block, after),
            );
            const dp = drop(matmul(ofDy, ofV, false, true), seed, ofDy);
            const exact = tf.mul(p, tf.sub(dp, ofSums));
            gradients?.take(shaped(exact, scoresOf(exact)), ofBias, block);
            const ds = cast(exact, factorType());
            const dq = flowingMatmul(ds, ofK);
            const dk = flowingMatmul(ds, ofQ, true);
            const dv = flowingMatmul(drop(p, seed, ofDy), ofDy, true);
            after = [dq, dk, dv];
            if (sink)
              sinkGradients = addSinks(
                sinkGradients,
                unstacked(tf.mul(sink, ofSums), block),
                block.heads,
                heads,
              );
            return { dq: unstacked(dq, block), dk, dv };
          });
          const together = (name: 'dq' | 'dk' | 'dv') =>
            joined(
              each.map((one) => one[name]),
              1,
            );
          const range = blocks[0]!.keys;
          after = [...after, keys.add(together('dk'), range), values.add(together('dv'), range)];
          return together('dq');
        });
        return { dq: joined(queries, 3), dk: keys.whole(tokens), dv: values.whole(tokens) };
      });
      const together = (name: 'dq' | 'dk' | 'dv') =>
        joined(
          rows.map((one) => one[name]),
          0,
        );
      return {
        q: together('dq'),
        k: together('dk'),
        v: together('dv'),
        sinks: sinkGradients && tf.neg(sinkGradients),
        ...gradients?.done(),
      };
    },
  });
  return shaped(result, [batch, heads, n, width]);
}

function blockOf(
  rows: Range,
  { queries, keys }: Pick<Chunk, 'queries' | 'keys'>,
  heads: Range,
  group: number,
  width: number,
): Block {
  return {
    rows,
    queries,
    keys,
    heads: { from: heads.from * group, to: heads.to * group },
    query: [rows, heads, all(group), queries],
    key: [rows, heads, keys, all(width)],
  };
}

/** Adds the gradients of a block's sinks, by query `(R, kvHeads, group, n, 1)`, to those of all `(heads)`. */
function addSinks(
  sum: tf.Tensor | undefined,
  each: tf.Tensor,
  { from, to }: Range,
  heads: number,
): tf.Tensor {
  const own = padded(tf.reshape(tf.sum(each, [0, 3, 4]), [to - from]), 0, from, heads - to);
  return sum ? tf.add(sum, own) : own;
}

/** Sums gradients of keys, `(R, kvHeads, m, D)` each. The ranges must be added in order: neither bound may decrease. */
class KeySums {
  #sum: tf.Tensor | null = null;
  #to = 0;

  add(part: tf.Tensor, { from, to }: Range): tf.Tensor {
    const exact = exactly(part);
    const end = Math.max(to, this.#to);
    const own = padded(exact, 2, from, end - to);
    this.#sum = this.#sum ? tf.add(padded(this.#sum, 2, 0, end - this.#to), own) : own;
    this.#to = end;
    return this.#sum;
  }

  /** The whole sum, in the type that flows between layers. */
  whole(tokens: number): tf.Tensor {
    return flowing(padded(this.#sum!, 2, 0, tokens - this.#to));
  }
}
