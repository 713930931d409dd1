import { customGradient, tf } from '@graft/tf-graph';
import type { AdapterParameter, LayerContext } from '../../tuner.ts';
import type { LoraNames, LoraTarget } from '../targets.ts';
import type { PrincipalInit } from './init-names.ts';
import { principalA, principalB } from './start-values.ts';

type Factors = Pick<LoraNames, 'a' | 'b'>;

// Not below the path of a block: blocks read the factors that are derived from these.
const trainedName = (name: string) => `trained.${name}`;
const startName = (name: string) => `start.${name}`;

/**
 * The trained factors, and their start values, which never change. All are in the run's checkpoints, so a resumed run has the same bytes.
 * The base model keeps its weights: a start value's product is subtracted as a part of the update, instead of from them.
 */
export function principalParameters(
  target: LoraTarget,
  { a, b }: Factors,
  init: PrincipalInit,
): AdapterParameter[] {
  const { rank, width, out } = target;
  const start = (name: string, length: number): AdapterParameter => ({
    name: startName(name),
    shape: [length],
    constant: true,
    init: { kind: 'base', parameters: [], make: (_, values) => values(trainedName(name)) },
  });
  return [
    { name: trainedName(a), shape: [rank, width], init: principalA(target, init), rate: 'first' },
    {
      name: trainedName(b),
      shape: [out, rank],
      init: principalB(target, init, trainedName(a)),
      rate: 'second',
    },
    start(a, rank * width),
    start(b, out * rank),
  ];
}

/** The factors of the update, and of the files: A' `(2 rank, width)` = [A; A₀] and B' `(out, 2 rank)` = [B, −B₀]. */
export function derivedFactors(
  { parameter }: LayerContext,
  { rank, width, out }: LoraTarget,
  { a, b }: Factors,
): [name: string, factor: tf.Tensor][] {
  const start = (name: string, shape: number[]) => tf.reshape(parameter(startName(name)), shape);
  const beside = (trained: tf.Tensor, constant: tf.Tensor, axis: number) =>
    customGradient({
      inputs: { trained },
      keep: {},
      value: () => tf.concat([trained, constant], axis),
      gradient: (dy) => ({ trained: tf.slice(dy, [0, 0], trained.shape as [number, number]) }),
    });
  return [
    [a, beside(parameter(trainedName(a)), start(a, [rank, width]), 0)],
    [b, beside(parameter(trainedName(b)), tf.neg(start(b, [out, rank])), 1)],
  ];
}
