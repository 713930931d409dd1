import { attr, customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing, usesKernels } from '../computation.ts';
import { matmul } from '../matmul.ts';
import { recomputable } from '../recompute.ts';
import { gatherRows, indicator } from './expert-blocks.ts';
import type { Choice } from './experts.ts';

/** y `(N, k · R)`, the products of each token's experts, plus the experts' biases `(E, R)`. */
export function withExpertBias(y: tf.Tensor, bias: tf.Tensor, { experts, count }: Choice): tf.Tensor {
  return customGradient({
    inputs: { y, bias },
    keep: { experts },
    value: () => flowing(tf.add(exactly(y), tf.reshape(gatherRows(bias, experts), [-1, y.shape[1]!]))),
    gradient(dy, { experts }) {
      const each = tf.reshape(exactly(dy), [-1, bias.shape[1]!]); // (N · k, R)
      const isOf = tf.reshape(indicator(experts, count), [-1, count]);
      return { y: dy, bias: exactly(matmul(isOf, each, true)) };
    },
  });
}

/**
 * The gated middle `(N, k · I)`, `(clip(up, ±limit) + 1) · g · σ(slope · g)` with `g = min(gate, limit)`, of experts whose first product `both` `(N, k · 2I)` has the gate and the up projection of each number
 * side by side. Keeps its input. As transformers' `GptOssExperts`.
 */
export function clampedProduct(
  both: tf.Tensor,
  { slope, limit }: { slope: number; limit: number },
): tf.Tensor {
  const half = both.shape[1]! / 2;
  const parts = (both: tf.Tensor) => {
    const [gate, up] = tf.split(tf.reshape(exactly(both), [-1, half, 2]), 2, 2);
    return { gate: tf.reshape(gate!, [-1, half]), up: tf.reshape(up!, [-1, half]) };
  };
  const clamped = ({ gate, up }: ReturnType<typeof parts>) => ({
    g: tf.minimum(gate, limit),
    u: tf.add(tf.minimum(tf.maximum(up, -limit), limit), 1),
  });
  function product(both: tf.Tensor): tf.Tensor {
    const { g, u } = clamped(parts(both));
    const scaled = tf.mul(g, slope);
    if (!usesKernels()) return flowing(tf.mul(tf.mul(g, tf.sigmoid(scaled)), u));
    const inputs = [scaled, tf.mul(u, 1 / slope)];
    return flowing(rawOp('GraftGatedProduct', [attr.string('curve', 'silu')], inputs)[0]!);
  }
  const y = customGradient({
    inputs: { both },
    keep: { both },
    value: () => product(both),
    gradient(dy, { both }) {
      const own = parts(withControlDependency(both, dy));
      const { g, u } = clamped(own);
      const exact = exactly(dy);
      const s = tf.sigmoid(tf.mul(g, slope));
      const rise = tf.mul(s, tf.add(1, tf.mul(tf.mul(g, slope), tf.sub(1, s))));
      const within = (x: tf.Tensor) => tf.cast(tf.lessEqual(x, limit), 'float32');
      const dGate = tf.mul(tf.mul(tf.mul(exact, u), rise), within(own.gate));
      const dUp = tf.mul(tf.mul(exact, tf.mul(g, s)), within(tf.abs(own.up)));
      return { both: flowing(tf.reshape(tf.stack([dGate, dUp], 2), [-1, 2 * half])) };
    },
  });
  return recomputable(y, [both], product);
}
