/** The tensors of such an adapter: names, keys and shapes. Loads no TensorFlow. */

import type { MatrixTarget } from '../matrices/targets.ts';

/** The sizes of the projections that all modules share: A `(rank, width)`, B `(out, rank)`. A module uses the first columns and rows. */
export interface SharedSizes {
  rank: number;
  /** The most inputs of a module. */
  width: number;
  /** The most outputs of a module. */
  out: number;
}

/** Each module uses a part of the projections. Source: peft 0.21.2, tuners/vera/model.py (_find_dim). */
export const sharedSizes = (rank: number, targets: readonly MatrixTarget[]): SharedSizes => ({
  rank,
  width: Math.max(...targets.map(({ width }) => width)),
  out: Math.max(...targets.map(({ out }) => out)),
});

/** The keys of the projections in files, by parameter: unlike others they are not below the model. */
export const projectionKeys = { vera_A: 'base_model.vera_A', vera_B: 'base_model.vera_B' } as const;

export const projectionShapes = ({ rank, width, out }: SharedSizes): { a: number[]; b: number[] } => ({
  a: [rank, width],
  b: [out, rank],
});

/** The names of the trained vectors of a module: factors of the rows of A `(rank)`, and of the outputs `(out)`. */
export const vectorNames = ({ name }: Pick<MatrixTarget, 'name'>): { d: string; b: string } => ({
  d: `${name}.vera_lambda_d`,
  b: `${name}.vera_lambda_b`,
});

export function vectorsOf(target: MatrixTarget, rank: number): { name: string; shape: number[] }[] {
  const { d, b } = vectorNames(target);
  return [
    { name: d, shape: [rank] },
    { name: b, shape: [target.out] },
  ];
}
