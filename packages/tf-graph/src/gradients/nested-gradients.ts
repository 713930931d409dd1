// Gradients inside a custom gradient (or inside its forward function), as gradient checkpointing needs them.
import { tf } from '../tensorflow.ts';

/** State of tfjs's tape: recorded while gradientDepth > 0 and kernelDepth is 0, dropped when a tf.grads at depth 0 ends. */
interface EngineState {
  activeTape: object[] | null;
  gradientDepth: number;
  kernelDepth: number;
}

/**
 * Runs `body`, which may call tf.grads and similar functions, with a separate tape, and then restores the outer tape. The result supports
 * only first-order gradients: the outer tape does not see how it was computed.
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

/** A tf.grads for use inside a custom gradient. The gradient of an input that `f` does not read is zero. */
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
