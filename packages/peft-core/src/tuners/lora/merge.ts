import { addLowRank } from '../matrices/merged-products.ts';
import type { Merge } from '../tuner.ts';
import type { LoraNames, LoraTarget } from './targets.ts';

/** The weight, as stored, plus `scale · B A`; with magnitudes, each output channel is scaled to its magnitude. */
export function mergedWeight(names: LoraNames, target: LoraTarget): Merge {
  const { width, out } = target;
  return (weight, adapter) => {
    addUpdate(weight, adapter(names.a), adapter(names.b), target);
    if (!names.magnitude) return weight;
    const magnitude = adapter(names.magnitude);
    const norms = channelNorms(weight, target);
    const channel = (i: number) => (target.transposed ? i % out : Math.floor(i / width));
    for (let i = 0; i < weight.length; i++)
      weight[i] = (weight[i]! * magnitude[channel(i)]!) / (norms[channel(i)]! || 1);
    return weight;
  };
}

type UpdateSizes = Pick<LoraTarget, 'width' | 'out' | 'scale' | 'transposed'>;

/** `scale · B A` in the weight's storage order: `(out, width)`, or `(width, out)` if transposed. */
export function loraDelta(a: Float32Array, b: Float32Array, target: UpdateSizes): Float32Array {
  const delta = new Float32Array(target.out * target.width);
  addUpdate(delta, a, b, target);
  return delta;
}

/** Adds `scale · B A` to a weight, as it is stored. */
export function addUpdate(
  weight: Float32Array,
  a: Float32Array,
  b: Float32Array,
  { scale, ...sizes }: UpdateSizes,
): void {
  addLowRank(weight, scale === 1 ? b : b.map((value) => scale * value), a, sizes);
}

/** The Euclidean norm of each output channel of a weight, `(out)`, in float64. */
export function channelNorms(
  weight: Float32Array,
  { width, out, transposed }: Pick<LoraTarget, 'width' | 'out' | 'transposed'>,
): Float64Array {
  const squares = new Float64Array(out);
  for (let i = 0; i < weight.length; i++)
    squares[transposed ? i % out : Math.floor(i / width)]! += weight[i]! ** 2;
  return squares.map(Math.sqrt);
}
