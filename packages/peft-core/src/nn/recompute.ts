import { customGradient, nestedGrads, type tf, withControlDependency, withinCluster } from '@graft/tf-graph';

/** How to recompute a tensor from tensors that are kept for the backward pass anyway. */
export interface Origin {
  inputs: tf.Tensor[];
  compute(...inputs: tf.Tensor[]): tf.Tensor;
}

const origins = new WeakMap<tf.Tensor, Origin>();

/**
 * Registers how to compute `value` from `inputs`, so that a layer that needs the value in the backward pass keeps the inputs instead.
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

/** Tensors to keep for `x`: the inputs of its origin, or x itself. */
export function originOf(x: tf.Tensor): Origin {
  return origins.get(x) ?? { inputs: [x], compute: (kept) => kept! };
}

/** Recomputes x from the kept tensors, not before `after`. */
export function restore(origin: Origin, kept: readonly tf.Tensor[], after: tf.Tensor): tf.Tensor {
  return origin.compute(...kept.map((input) => withControlDependency(input, after)));
}

/** Costly results of one run of a checkpointed block, in the order of computation, and how many of them a repeated run has read. */
interface CostlyResults {
  all: tf.Tensor[][];
  taken: number | null;
}

let blockResults: CostlyResults | null = null;

/** Computes results that a checkpointed block keeps beside its input, because recomputing them costs more than keeping them. */
export function costly(compute: () => tf.Tensor[]): tf.Tensor[] {
  if (!blockResults) return compute();
  if (blockResults.taken !== null) return blockResults.all[blockResults.taken++]!;
  const results = compute();
  blockResults.all.push(results);
  return results;
}

function within<T>(results: CostlyResults, body: () => T): T {
  const outer = blockResults;
  blockResults = results;
  try {
    return body();
  } finally {
    blockResults = outer;
  }
}

/**
 * Runs `run(x, ...others)` and keeps only the inputs and the costly results; the backward pass runs the rest again, once its gradient
 * has arrived. `name` must be unique to the block. Source: Chen et al. 2016, arXiv:1604.06174; the costly results are those of
 * attention, as in Korthikanti et al. 2022, arXiv:2205.05198.
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
      // Within one XLA cluster, XLA would keep the first run's results instead of recomputing them.
      const [dx, ...rest] = withinCluster(`${name}/again`, () =>
        nestedGrads(repeat)([withControlDependency(x, dy), ...others], dy),
      );
      return { x: dx, others: rest };
    },
  });
}
