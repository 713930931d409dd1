// Gradients inside a custom gradient (or inside its forward function), as gradient checkpointing needs them.
import { tf } from '../tensorflow.ts';

/** tfjs's tape: recorded while gradientDepth > 0 and kernelDepth is 0, dropped when a tf.grads at depth 0 ends. */
interface EngineState {
  activeTape: object[] | null;
  gradientDepth: number;
  kernelDepth: number;
}

/**
 * Runs `body`, which may call tf.grads and its kin, on a tape of its own and leaves the outer tape as it was. What it
 * returns is first order: the outer tape does not see how it was computed.
 */
export function withNestedGradients<T>(body: () => T): T {
  const state = tf.engine().state as unknown as EngineState;
  const { activeTape, gradientDepth, kernelDepth } = state;
  Object.assign(state, { activeTape: null, gradientDepth: 0, kernelDepth: 0 });
  try {
    return body();
  } finally {
    Object.assign(state, { activeTape, gradientDepth, kernelDepth });
  }
}

/** tf.grads that may be used inside a custom gradient. An input that `f` does not read has a gradient of zeros. */
export function nestedGrads<I extends [...tf.Tensor[]]>(
  f: (...inputs: I) => tf.Tensor,
): (inputs: I, dy?: tf.Tensor) => { [N in keyof I]: tf.Tensor } {
  return (inputs, dy) =>
    withNestedGradients(() =>
      tf.tidy(() => {
        const { grads } = tf.engine().gradients(() => f(...inputs), inputs, dy, true);
        return inputs.map((input, i) => grads[i] ?? tf.zeros(input.shape)) as { [N in keyof I]: tf.Tensor };
      }),
    );
}
