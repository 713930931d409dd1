import type { Random } from '../../random.ts';
import type { ParameterInit } from '../tuner.ts';

type Draw = (random: Random) => number;

/** `length` numbers drawn one after the other. */
export function drawn(length: number, draw: Draw): ParameterInit {
  return {
    kind: 'draw',
    draw(random) {
      const values = new Float32Array(length);
      for (let i = 0; i < length; i++) values[i] = draw(random);
      return values;
    },
  };
}

export function constant(length: number, value: number): ParameterInit {
  return { kind: 'draw', draw: () => new Float32Array(length).fill(value) };
}

/** Standard normal: torch.nn.Embedding's start values. */
export const normal: Draw = (random) => random.normal();

/** Uniform within ±1/√width: torch.nn.Linear's start values, which are Kaiming-uniform with a = √5. */
export const uniform =
  (width: number): Draw =>
  (random) =>
    (2 * random.uniform() - 1) / Math.sqrt(width);
