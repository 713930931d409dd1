import type { Random } from '../../random.ts';
import { constant, drawn, normal, uniform } from '../attach/start-values.ts';
import type { ParameterInit } from '../tuner.ts';
import type { LoraConfig } from './config.ts';
import { channelNorms, loraDelta } from './merge.ts';
import type { LoraNames, LoraTarget } from './targets.ts';

// Start values as in peft, tuners/lora/layer.py: reset_lora_parameters, orthogonal_init, Embedding.update_layer.

export function initialA(
  { kind, rank, width }: LoraTarget,
  init: LoraConfig['init_lora_weights'],
): ParameterInit {
  const size = rank * width;
  if (kind === 'embedding') return init === false ? drawn(size, normal) : constant(size, 0);
  if (init === 'gaussian') return drawn(size, (random) => random.normal() / rank);
  if (init === 'orthogonal') return { kind: 'draw', draw: (random) => halfRank(rank, width, random) };
  return drawn(size, uniform(width));
}

/** B starts at zero, so that training starts at the base model; for an embedding A does. `false` makes both random, for tests. */
export function initialB(
  { kind, rank, out }: LoraTarget,
  init: LoraConfig['init_lora_weights'],
  a: string,
): ParameterInit {
  const size = out * rank;
  if (kind === 'embedding') return drawn(size, normal);
  if (init === false) return drawn(size, uniform(rank));
  if (init !== 'orthogonal') return constant(size, 0);
  return {
    kind: 'base',
    parameters: [],
    make: (_weights, values, random) => orthogonalTo(values(a), rank, out, random),
  };
}

export function initialBias({ rank, out }: LoraTarget, init: LoraConfig['init_lora_weights']): ParameterInit {
  return init === false ? drawn(out, uniform(rank)) : constant(out, 0);
}

/** The norm of each output channel of `W + scale · B A`. */
export function initialMagnitude(target: LoraTarget, names: LoraNames): ParameterInit {
  return {
    kind: 'base',
    parameters: [`${target.name}.weight`],
    make: ([weight], values) => {
      const delta = loraDelta(values(names.a), values(names.b), target);
      return Float32Array.from(
        channelNorms(
          weight!.map((value, i) => value + delta[i]!),
          target,
        ),
      );
    },
  };
}

/** Normal numbers / 10 in a random subspace with half of A's rank, `(rank, width)`. */
function halfRank(rank: number, width: number, random: Random): Float32Array {
  const basis = orthonormal(
    Array.from({ length: rank / 2 }, () => Float64Array.from({ length: rank }, () => random.normal())),
  );
  const a = new Float32Array(rank * width);
  for (let i = 0; i < width; i++) {
    const column = new Float64Array(rank);
    for (const direction of basis) {
      const share = random.normal() / 10;
      for (let k = 0; k < rank; k++) column[k]! += share * direction[k]!;
    }
    for (let k = 0; k < rank; k++) a[k * width + i] = column[k]!;
  }
  return a;
}

/** Rows of normal numbers / 10, `(out, rank)`, orthogonal to A `(rank, width)`, so that B A is zero. */
function orthogonalTo(a: Float32Array, rank: number, out: number, random: Random): Float32Array {
  const width = a.length / rank;
  const columns = Array.from({ length: Math.min(rank / 2, width) }, (_, i) =>
    Float64Array.from({ length: rank }, (_, k) => a[k * width + i]!),
  );
  const taken = orthonormal(columns);
  const b = new Float32Array(out * rank);
  for (let o = 0; o < out; o++) {
    const row = Float64Array.from({ length: rank }, () => random.normal() / 10);
    for (const direction of taken) subtractProjection(row, direction);
    b.set(row, o * rank);
  }
  return b;
}

/** An orthonormal basis of the span of `vectors`, by Gram–Schmidt. */
function orthonormal(vectors: Float64Array[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    const rest = vector.slice();
    // Twice, because once is not exact enough in floating point.
    for (const direction of [...basis, ...basis]) subtractProjection(rest, direction);
    const length = Math.hypot(...rest);
    basis.push(rest.map((value) => value / length));
  }
  return basis;
}

/** Subtracts the projection of `vector` onto the unit vector `direction`. */
function subtractProjection(vector: Float64Array, direction: Float64Array): void {
  let share = 0;
  for (let k = 0; k < vector.length; k++) share += vector[k]! * direction[k]!;
  for (let k = 0; k < vector.length; k++) vector[k]! -= share * direction[k]!;
}
