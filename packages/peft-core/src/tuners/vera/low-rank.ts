import type { ModelOutline } from '../../outlines/outline.ts';
import type { HostTensor } from '../../tensors/tensor-source.ts';
import { MODEL_PREFIX, savedTensors } from '../file-tensors.ts';
import type { MatrixTarget } from '../matrices/targets.ts';
import type { LowRankForm } from '../method.ts';
import { drawProjections } from './projections.ts';
import { projectionKeys, type SharedSizes, sharedSizes, vectorNames } from './tensors.ts';

/** The projections as they are in memory, row by row. */
export interface Projections {
  a: Float32Array;
  b: Float32Array;
}

/**
 * The factors of a module's update B' A': A' `(rank, width)` = λd A and B' `(out, rank)` = λb B, with the first columns of A and the first
 * rows of B. Source: peft 0.21.2, tuners/vera/layer.py (get_delta_weight).
 */
export function factorA(
  d: Float32Array,
  { a }: Projections,
  { width: columns }: SharedSizes,
  { width }: Pick<MatrixTarget, 'width'>,
): Float32Array {
  const factor = new Float32Array(d.length * width);
  for (let k = 0; k < d.length; k++)
    for (let i = 0; i < width; i++) factor[k * width + i] = d[k]! * a[k * columns + i]!;
  return factor;
}

export function factorB(lambda: Float32Array, { b }: Projections, { rank }: SharedSizes): Float32Array {
  const factor = new Float32Array(lambda.length * rank);
  for (let o = 0; o < lambda.length; o++)
    for (let k = 0; k < rank; k++) factor[o * rank + k] = lambda[o]! * b[o * rank + k]!;
  return factor;
}

/** The options that determine what the files hold. */
interface FileOptions {
  r: number;
  projection_prng_key: number;
  save_projection: boolean;
  bias: string;
  modules_to_save: string[] | null;
}

/** The adapter as plain low-rank updates, exactly: their factors are computed one at a time, when they are read. */
export function lowRankForm(
  config: FileOptions,
  model: ModelOutline,
  targets: readonly MatrixTarget[],
): LowRankForm {
  const sizes = sharedSizes(config.r, targets);
  const { modules: saved } = savedTensors(config, model);
  const keyA = ({ name }: MatrixTarget) => `${MODEL_PREFIX}${name}.vera_A`;
  const keyB = ({ name }: MatrixTarget) => `${MODEL_PREFIX}${name}.vera_B`;
  return {
    updates: targets.map((target) => ({
      module: target.name,
      kind: 'linear',
      a: keyA(target),
      b: keyB(target),
      rank: config.r,
      scale: 1,
      width: target.width,
      out: target.out,
    })),
    others: [
      ...(config.bias === 'none' ? [] : [`biases (bias ${JSON.stringify(config.bias)})`]),
      ...(saved.length > 0 ? [`modules trained in full (${saved.join(', ')})`] : []),
    ],
    factors(files) {
      const projections = projectionsOf(config, sizes, files);
      const data = (name: string) => files.get(MODEL_PREFIX + name)!.data;
      const byKey = new Map<string, () => HostTensor>();
      for (const target of targets) {
        const { width, out } = target;
        const { d, b } = vectorNames(target);
        byKey.set(keyA(target), () => ({
          shape: [config.r, width],
          data: factorA(data(d), projections, sizes, target),
        }));
        byKey.set(keyB(target), () => ({
          shape: [out, config.r],
          data: factorB(data(b), projections, sizes),
        }));
      }
      return { get: (key) => byKey.get(key)?.() };
    },
  };
}

/** Those of the files, or the ones that belong to the key. */
function projectionsOf(
  { projection_prng_key: key, save_projection }: FileOptions,
  sizes: SharedSizes,
  files: ReadonlyMap<string, HostTensor>,
): Projections {
  if (!save_projection) return drawProjections(key, sizes);
  return { a: files.get(projectionKeys.vera_A)!.data, b: files.get(projectionKeys.vera_B)!.data };
}
