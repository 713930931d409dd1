// Operations with hand-written gradients.
import { tf } from '../tensorflow.ts';

/** Tensors by name: a tensor, a list of tensors, or undefined. */
export type NamedTensors = Readonly<Record<string, tf.Tensor | readonly tf.Tensor[] | undefined>>;

/** A gradient for each input, with the input's shape; null where no gradient flows (ids, masks). */
export type Gradients<I extends NamedTensors> = {
  [N in keyof I]: I[N] extends tf.Tensor
    ? tf.Tensor | null
    : I[N] extends readonly tf.Tensor[]
      ? readonly (tf.Tensor | null)[]
      : tf.Tensor | null | undefined;
};

export interface CustomGradient<I extends NamedTensors, K extends NamedTensors> {
  /** Tensors that get a gradient. */
  inputs: I;
  /**
   * Tensors that `gradient` reads: they stay in memory until the backward pass. Inputs that are not listed here are freed. A function is
   * called after `value`, for intermediate results of `value`.
   */
  keep: K | (() => K);
  /** Computes the result. Surrounding gradients do not see how it is computed. */
  value(): tf.Tensor;
  /** Computes the gradients of the inputs from `dy`, the gradient of the result. Reads tensors of the forward pass only from `kept`. */
  gradient(dy: tf.Tensor, kept: K): Gradients<I>;
}

/** Returns `value()` as a tensor whose gradient is `gradient` instead of that of the operations in `value`. */
export function customGradient<I extends NamedTensors, K extends NamedTensors>({
  inputs,
  keep,
  value,
  gradient,
}: CustomGradient<I, K>): tf.Tensor {
  const operation = tf.customGrad((...args) => {
    const save = args.at(-1) as tf.GradSaveFunc;
    // The clone is a separate tensor, in case `value` returns an input or a tensor computed outside.
    const result = tf.clone(value());
    const kept = typeof keep === 'function' ? keep() : keep;
    save(Object.values(kept).flatMap(listed));
    return {
      value: result,
      gradFunc(dy: tf.Tensor, saved: tf.Tensor[]) {
        const gradients = gradient(dy, replaced(kept, saved));
        return Object.entries(inputs).flatMap(([name, input]) => {
          const own = listed(gradients[name]);
          return listed(input).map((tensor, i) => own[i] ?? tf.zeros(tensor.shape));
        });
      },
    };
  });
  return operation(...Object.values(inputs).flatMap(listed));
}

function listed<T extends tf.Tensor | null>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return isList(value) ? value : [value];
}

const isList = <T>(value: T | readonly T[]): value is readonly T[] => Array.isArray(value);

/** Returns a copy of `like` whose tensors are replaced by `tensors`, in order. */
function replaced<K extends NamedTensors>(like: K, tensors: readonly tf.Tensor[]): K {
  const rest = [...tensors];
  const entries = Object.entries(like).map(([name, value]) => {
    const own = rest.splice(0, listed(value).length);
    return [name, isList(value) ? own : own[0]];
  });
  return Object.fromEntries(entries) as K;
}
