import { cast, customGradient, rawOp, storageOf, tf } from '@graft/tf-graph';
import { exactly } from '../computation.ts';
import { indicator } from './expert-blocks.ts';
import type { Routing } from './experts.ts';

/**
 * The loss that balances the use of experts: `coefficient · E · Σ_e (c_e / T) (p_e / T)`, where c_e counts the tokens that chose expert e
 * and p_e sums their probabilities of it, over all layers, and T counts tokens, once for each layer. Its gradient is that of p_e.
 * The layers are known only after the forward pass, so a layer adds the gradient to that of its logits in the backward pass. Source: Fedus et
 * al. 2021, arXiv:2101.03961, equations 4 to 6; transformers, load_balancing_loss_func.
 */
export class ExpertBalance {
  readonly #routing: Routing;
  readonly #uses: tf.Tensor;
  readonly #coefficient: number;
  readonly #keep: (x: tf.Tensor) => tf.Tensor;
  /** Per layer, `(E)`. */
  readonly #counts: tf.Tensor[] = [];
  readonly #sums: tf.Tensor[] = [];
  /** The loss's derivative by each expert's probability of a token, `(E)`. */
  #slopes: tf.Tensor | null = null;

  /** `uses` `(N)` float32: how often each token counts: 0 for padding, more than once where sequences share it. `keep` keeps a tensor until the gradients are computed. */
  constructor(routing: Routing, uses: tf.Tensor, coefficient: number, keep: (x: tf.Tensor) => tf.Tensor) {
    this.#routing = routing;
    this.#uses = keep(tf.expandDims(uses, 1));
    this.#coefficient = coefficient;
    this.#keep = keep;
  }

  /** The same logits `(N, E)` of a layer's router, which get the loss's gradient, too. */
  route(logits: tf.Tensor): tf.Tensor {
    return customGradient({
      inputs: { logits },
      keep: { logits },
      value: () => {
        // A block that runs again for its gradient has been counted.
        if (this.#slopes === null) this.#count(logits);
        return logits;
      },
      gradient: (dy, { logits }) => {
        const probabilities = tf.softmax(exactly(logits));
        const slopes = tf.mul(this.#uses, this.#slopes!); // (N, E)
        const centred = tf.sub(slopes, tf.sum(tf.mul(slopes, probabilities), 1, true));
        return { logits: cast(tf.add(exactly(dy), tf.mul(probabilities, centred)), storageOf(logits)) };
      },
    });
  }

  #count(logits: tf.Tensor): void {
    const { experts: E, chosen: k } = this.#routing;
    const probabilities = tf.softmax(exactly(logits));
    const experts = rawOp('TopKV2', [], [probabilities, tf.scalar(k, 'int32')])[1]!;
    const isChosen = tf.sum(indicator(experts, E), 1); // (N, E)
    this.#counts.push(this.#keep(tf.sum(tf.mul(isChosen, this.#uses), 0)));
    this.#sums.push(this.#keep(tf.sum(tf.mul(probabilities, this.#uses), 0)));
  }

  /** The loss, after the forward pass of all layers. It carries no gradient itself. */
  loss(): tf.Tensor {
    const tokens = tf.maximum(tf.mul(tf.sum(this.#uses), this.#counts.length), 1);
    const scale = tf.div(this.#coefficient * this.#routing.experts, tf.square(tokens));
    this.#slopes = this.#keep(tf.mul(tf.addN(this.#counts), scale));
    return tf.sum(tf.mul(this.#slopes, tf.addN(this.#sums)));
  }
}
