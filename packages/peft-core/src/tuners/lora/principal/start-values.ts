import { attr, rawOp, tf } from '@graft/tf-graph';
import type { Random } from '../../../random.ts';
import type { ParameterInit } from '../../tuner.ts';
import type { LoraTarget } from '../targets.ts';
import { type PrincipalInit, powerIterations } from './init-names.ts';

// Start values as in peft 0.21.2, tuners/lora/layer.py (pissa_init, olora_init). TensorFlow decomposes; signs are those that it finds.

/** A `(rank, width)` from the base weight. */
export function principalA(target: LoraTarget, init: PrincipalInit): ParameterInit {
  return {
    kind: 'base',
    parameters: [`${target.name}.weight`],
    make: ([values], _, random) =>
      valuesOf(() => {
        const weight = matrixOf(values!, target);
        if (init === 'olora') return tf.matMul(leadingBasis(weight, target.rank), weight, true);
        const iterations = powerIterations(init);
        return leadingRows(
          iterations === null ? decomposed(weight) : approximated(weight, target.rank, iterations, random),
          target,
        );
      }),
  };
}

/** B `(out, rank)` from the base weight and the start values of A, named `a`. */
export function principalB(target: LoraTarget, init: PrincipalInit, a: string): ParameterInit {
  return {
    kind: 'base',
    parameters: [`${target.name}.weight`],
    make: ([values], drawn) =>
      valuesOf(() => {
        const weight = matrixOf(values!, target);
        return init === 'olora'
          ? leadingBasis(weight, target.rank)
          : matchingColumns(weight, drawn(a), target);
      }),
  };
}

/**
 * A `(rank, width)` from what quantising took from the weight: scale · B A is the best approximation of that error, so training starts
 * closer to the original model than the quantised base is. PEFT leaves the scale out, which is the same where it is 1, and starts farther
 * from the original model elsewhere. Source: Li et al. 2023, arXiv:2310.08659; peft 0.21.2, utils/loftq_utils.py (_loftq_init_new).
 */
export function quantisationErrorA(target: LoraTarget): ParameterInit {
  return {
    kind: 'base',
    parameters: [`${target.name}.weight`],
    quantised: true,
    make: (values) => valuesOf(() => leadingRows(decomposed(errorOf(values, target)), target)),
  };
}

/** B `(out, rank)` of the same, from the start values of A, named `a`. */
export function quantisationErrorB(target: LoraTarget, a: string): ParameterInit {
  return {
    kind: 'base',
    parameters: [`${target.name}.weight`],
    quantised: true,
    make: (values, drawn) => valuesOf(() => matchingColumns(errorOf(values, target), drawn(a), target)),
  };
}

/** The weight minus its quantised values, `(out, width)`. */
function errorOf([original, quantised]: Float32Array[], target: LoraTarget): tf.Tensor2D {
  return tf.sub(matrixOf(original!, target), matrixOf(quantised!, target));
}

/** The rows √(S / scale) v of the largest singular values. */
function leadingRows({ s, v }: Decomposition, { rank, scale }: LoraTarget): tf.Tensor {
  const roots = tf.sqrt(tf.div(tf.slice(s, 0, rank), scale));
  return tf.mul(tf.transpose(tf.slice(v, 0, [-1, rank])), tf.expandDims(roots, 1));
}

/** The columns √(S / scale) u that belong to `leadingRows` of a matrix `(out, width)`. */
function matchingColumns(
  matrix: tf.Tensor2D,
  rows: Float32Array,
  { rank, width, scale }: LoraTarget,
): tf.Tensor {
  // W v = S u, so that W Aᵀ is divided by scale · |row|² = S. A row of zeros stays one.
  const a = tf.tensor2d(rows, [rank, width]);
  const squares = tf.sum(tf.square(a), 1);
  return tf.divNoNan(tf.matMul(matrix, a, false, true), tf.mul(squares, scale));
}

/** The first `rank` columns of Q of a QR decomposition of the weight: Householder's method needs no others for them. */
function leadingBasis(weight: tf.Tensor2D, rank: number): tf.Tensor2D {
  return orthonormal(tf.slice(weight, 0, [-1, rank]));
}

function orthonormal(matrix: tf.Tensor2D): tf.Tensor2D {
  return rawOp('Qr', [attr.bool('full_matrices', false)], [matrix])[0] as tf.Tensor2D;
}

/** Singular values, and right singular vectors `(width, number of values)`. */
interface Decomposition {
  s: tf.Tensor1D;
  v: tf.Tensor2D;
}

/** All min(out, width) singular values. */
function decomposed(weight: tf.Tensor2D): Decomposition {
  const options = [attr.bool('compute_uv', true), attr.bool('full_matrices', false)];
  const [s, , v] = rawOp('Svd', options, [weight]);
  return { s: s as tf.Tensor1D, v: v as tf.Tensor2D };
}

/** The same of rank `rank`, by power iterations of a random basis, like torch.svd_lowrank. Source: Halko et al. 2009, arXiv:0909.4061. */
function approximated(weight: tf.Tensor2D, rank: number, iterations: number, random: Random): Decomposition {
  const width = weight.shape[1];
  const start = Float32Array.from({ length: width * rank }, () => random.normal());
  let basis = orthonormal(tf.matMul(weight, tf.tensor2d(start, [width, rank])));
  for (let i = 0; i < iterations; i++) {
    basis = orthonormal(tf.matMul(weight, basis, true));
    basis = orthonormal(tf.matMul(weight, basis));
  }
  return decomposed(tf.matMul(basis, weight, true));
}

/** A module's weight as `(out, width)`. */
function matrixOf(values: Float32Array, { out, width, transposed }: LoraTarget): tf.Tensor2D {
  return transposed ? tf.transpose(tf.tensor2d(values, [width, out])) : tf.tensor2d(values, [out, width]);
}

function valuesOf(compute: () => tf.Tensor): Float32Array {
  const result = tf.tidy(compute);
  try {
    return result.dataSync() as Float32Array;
  } finally {
    result.dispose();
  }
}
