import { customGradient, nestedGrads, type tf, withControlDependency, withinCluster } from '@graft/tf-graph';

/** How to compute a tensor again from others that are kept for the backward pass anyway. */
export interface Origin {
  inputs: tf.Tensor[];
  compute(...inputs: tf.Tensor[]): tf.Tensor;
}

const origins = new WeakMap<tf.Tensor, Origin>();

/**
 * Says how to compute `value` from `inputs`. A layer that needs the value in the backward pass then keeps the inputs instead.
 * `compute` must be cheap.
 */
export function recomputable<I extends tf.Tensor[]>(
  value: tf.Tensor,
  inputs: [...I],
  compute: (...inputs: I) => tf.Tensor,
): tf.Tensor {
  origins.set(value, { inputs, compute });
  return value;
}

/** What to keep for `x`: its origin's inputs, or x itself. */
export function originOf(x: tf.Tensor): Origin {
  return origins.get(x) ?? { inputs: [x], compute: (kept) => kept! };
}

/** x computed from what was kept, not before `after`. */
export function restore(origin: Origin, kept: readonly tf.Tensor[], after: tf.Tensor): tf.Tensor {
  return origin.compute(...kept.map((input) => withControlDependency(input, after)));
}

/** Results of one run of a checkpointed block, in the order they were computed in, and how many of them a repeated run has taken. */
interface CostlyResults {
  all: tf.Tensor[][];
  taken: number | null;
}

let ofBlock: CostlyResults | null = null;

/** What a checkpointed block keeps beside its input, because it costs more to compute again than to hold: `compute()`, once. */
export function costly(compute: () => tf.Tensor[]): tf.Tensor[] {
  if (!ofBlock) return compute();
  if (ofBlock.taken !== null) return ofBlock.all[ofBlock.taken++]!;
  const results = compute();
  ofBlock.all.push(results);
  return results;
}

function within<T>(results: CostlyResults, body: () => T): T {
  const outer = ofBlock;
  ofBlock = results;
  try {
    return body();
  } finally {
    ofBlock = outer;
  }
}

/**
 * `run(x, ...others)`, of which only the inputs and what is costly are kept: the backward pass runs the rest again, once its gradient
 * has arrived. `name` is the block's alone. Source: Chen et al. 2016, arXiv:1604.06174; what is costly is attention, as in Korthikanti
 * et al. 2022, arXiv:2205.05198.
 */
export function checkpointed(
  run: (x: tf.Tensor, ...others: tf.Tensor[]) => tf.Tensor,
  x: tf.Tensor,
  others: tf.Tensor[],
  name: string,
): tf.Tensor {
  const all: tf.Tensor[][] = [];
  return customGradient({
    inputs: { x, others },
    keep: () => ({ x, others, costly: all.flat() }),
    value: () => withinCluster(name, () => within({ all, taken: null }, () => run(x, ...others))),
    gradient(dy, { x, others, costly }) {
      const waiting = costly.map((result) => withControlDependency(result, dy));
      const again = all.map((results) => waiting.splice(0, results.length));
      const repeat = (...inputs: [tf.Tensor, ...tf.Tensor[]]) =>
        within({ all: again, taken: 0 }, () => run(...inputs));
      // In one program XLA would keep what the first run computed, and compute nothing again.
      const [dx, ...rest] = withinCluster(`${name}/again`, () =>
        nestedGrads(repeat)([withControlDependency(x, dy), ...others], dy),
      );
      return { x: dx, others: rest };
    },
  });
}
