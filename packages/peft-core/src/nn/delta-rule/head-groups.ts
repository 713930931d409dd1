import { customGradient, nestedGrads, tf, withNestedGradients } from '@graft/tf-graph';
import { cut, joined } from '../attention/cut.ts';
import { exactly, flowing, withComputation } from '../computation.ts';
import { costly } from '../recompute.ts';
import type { ChunkMasks } from './segment-chunks.ts';

/** Queries, keys and values; the others are few numbers for each head, and stay in float32. */
const FLOWING = 3;

/**
 * Computes `rule` in float32 for one group of heads after the other. Input i `(N, width)` has the numbers of all heads side by side, and
 * is cut into `parts[i]` parts; there are as many groups as the most parts, and neighbouring groups share a part of an input with fewer.
 * Returns `(N, width)`, of all groups side by side. Keeps the inputs and masks, and computes a group again for its gradient.
 */
export function inHeadGroups(
  all: readonly tf.Tensor[],
  parts: readonly number[],
  masks: ChunkMasks,
  rule: (inputs: readonly tf.Tensor[], masks: ChunkMasks) => tf.Tensor,
): tf.Tensor {
  const groups = Math.max(...parts);
  const numbers = Array.from({ length: groups }, (_, group) => group);
  const partOf = (group: number, count: number) => Math.floor((group * count) / groups);
  /** A group's columns of x, in float32, not copied before `after` is computed. */
  const columnsOf = (x: tf.Tensor, group: number, count: number, after: tf.Tensor[]) => {
    const width = x.shape[1]! / count;
    const from = partOf(group, count) * width;
    return exactly(
      cut(
        x,
        [
          { from: 0, to: x.shape[0]! },
          { from, to: from + width },
        ],
        after,
      ),
    );
  };
  const exact = (inputs: readonly tf.Tensor[], masks: ChunkMasks) =>
    withComputation({ precision: 'fp32' }, () => rule(inputs, masks));
  const forward = () => {
    let after: tf.Tensor[] = [];
    const outputs = numbers.map((group) => {
      const inputs = all.map((x, i) => columnsOf(x, group, parts[i]!, after));
      const y = flowing(exact(inputs, masks));
      after = [y];
      return y;
    });
    return joined(outputs, 1);
  };

  const [y] = costly(() => [withNestedGradients(forward)]) as [tf.Tensor];
  return customGradient({
    inputs: { all: [...all] },
    keep: { all: [...all], within: masks.within, reads: masks.reads, writes: masks.writes },
    value: () => y,
    gradient(dy, { all, within, reads, writes }) {
      const again = (...inputs: tf.Tensor[]) => exact(inputs, { within, reads, writes });
      let after = [dy];
      const gradients = numbers.map((group) => {
        const inputs = all.map((x, i) => columnsOf(x, group, parts[i]!, after));
        const found = nestedGrads(again)(inputs, columnsOf(dy, group, groups, after));
        after = found.map((gradient, i) => (i < FLOWING ? flowing(gradient) : gradient));
        return after;
      });
      return {
        all: parts.map((count, i) => {
          const sums: tf.Tensor[] = [];
          for (const [group, each] of gradients.entries()) {
            const part = partOf(group, count);
            sums[part] = sums[part] ? tf.add(sums[part], each[i]!) : each[i]!;
          }
          return joined(sums, 1);
        }),
      };
    },
  });
}
