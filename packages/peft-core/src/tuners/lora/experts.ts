import { tf } from '@graft/tf-graph';
import { constant, drawn, normal, uniform } from '../attach/start-values.ts';
import type { AdapterParameter, ExpertUpdater, Merge } from '../tuner.ts';
import type { LoraConfig } from './config.ts';
import { addUpdate } from './merge.ts';
import type { ExpertTarget, LoraNames } from './targets.ts';

// LoRA on the matrices of all experts, with one A and one B in the files. Source: peft, tuners/lora/layer.py (ParamWrapper).

type Factors = Pick<LoraNames, 'a' | 'b'>;

/** A `(E · rank, width)`, the ranks of an expert side by side, and B `(out, rank · E)`, the experts of a rank side by side. */
export function expertParameters(
  { experts, rank, width, out }: ExpertTarget,
  { a, b }: Factors,
  init: LoraConfig['init_lora_weights'],
): AdapterParameter[] {
  const ranks = experts * rank;
  const drawA =
    init === 'gaussian' ? (random: Parameters<typeof normal>[0]) => normal(random) / rank : uniform(width);
  return [
    { name: a, shape: [ranks, width], init: drawn(ranks * width, drawA), rate: 'first' },
    {
      name: b,
      shape: [out, ranks],
      init: init === false ? drawn(out * ranks, uniform(ranks)) : constant(out * ranks, 0),
      rate: 'second',
    },
  ];
}

/** The factors of each expert: A `(E, rank, width)` and B `(E, out, rank)`. */
export function expertUpdate(
  { experts, rank, width, out, scale }: ExpertTarget,
  names: Factors,
): ExpertUpdater {
  return ({ parameter }) => ({
    a: tf.reshape(parameter(names.a), [experts, rank, width]),
    b: tf.transpose(tf.reshape(parameter(names.b), [out, rank, experts]), [2, 0, 1]),
    scale,
  });
}

/** The experts' matrices `(E, out, width)` plus `scale · B[e] A[e]`. */
export function mergedExperts(target: ExpertTarget, names: Factors): Merge {
  const { experts, rank, width, out } = target;
  return (weight, adapter) => {
    const [a, b] = [adapter(names.a), adapter(names.b)];
    const ownB = new Float32Array(out * rank);
    for (let expert = 0; expert < experts; expert++) {
      for (let i = 0; i < ownB.length; i++) ownB[i] = b[i * experts + expert]!;
      const own = a.subarray(expert * rank * width, (expert + 1) * rank * width);
      const matrix = weight.subarray(expert * out * width, (expert + 1) * out * width);
      addUpdate(matrix, own, ownB, { ...target, transposed: false });
    }
    return weight;
  };
}
