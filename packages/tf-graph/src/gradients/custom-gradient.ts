// Operations with a gradient written by hand.
import { tf } from '../tensorflow.ts';

/** Tensors by name: one, a list of them, or none. */
export type NamedTensors = Readonly<Record<string, tf.Tensor | readonly tf.Tensor[] | undefined>>;

/** One gradient for each input, in its shape; null where none flows (ids, masks). */
export type Gradients<I extends NamedTensors> = {
  [N in keyof I]: I[N] extends tf.Tensor
    ? tf.Tensor | null
    : I[N] extends readonly tf.Tensor[]
      ? readonly (tf.Tensor | null)[]
      : tf.Tensor | null | undefined;
};

export interface CustomGradient<I extends NamedTensors, K extends NamedTensors> {
  /** What gets a gradient. */
  inputs: I;
  /**
   * All that `gradient` reads: it stays in memory until the backward pass. Inputs that are not named here do not stay. A function is
   * called after `value`, for what that computes besides.
   */
  keep: K | (() => K);
  /** The result. How it is computed is not seen by the gradients around it. */
  value(): tf.Tensor;
  /** The inputs' gradients from the result's, `dy`. Reads tensors of the forward pass from `kept` only. */
  gradient(dy: tf.Tensor, kept: K): Gradients<I>;
}

/** The tensor `value()`, whose gradients are `gradient` instead of those of the operations that computed it. */
export function customGradient<I extends NamedTensors, K extends NamedTensors>({
  inputs,
  keep,
  value,
  gradient,
}: CustomGradient<I, K>): tf.Tensor {
  const operation = tf.customGrad((...args) => {
    const save = args.at(-1) as tf.GradSaveFunc;
    // A clone has an identity of its own, should `value` be an input or computed outside.
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

/** The record `like` with its tensors replaced by `tensors`, in their order. */
function replaced<K extends NamedTensors>(like: K, tensors: readonly tf.Tensor[]): K {
  const rest = [...tensors];
  const entries = Object.entries(like).map(([name, value]) => {
    const own = rest.splice(0, listed(value).length);
    return [name, isList(value) ? own : own[0]];
  });
  return Object.fromEntries(entries) as K;
}
