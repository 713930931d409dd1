import { elementCount } from '../../tensors/tensor-source.ts';
import { constant, drawn } from '../attach/start-values.ts';
import { matrixTuner } from '../matrices/attachment.ts';
import type { MatrixTarget } from '../matrices/targets.ts';
import type { LayerContext, Merge } from '../tuner.ts';
import { rotatedBlocks } from './block-rotation.ts';
import { type OftConfig, oftMethod, rotationOf } from './method.ts';
import { rotations, rotationsOf } from './rotation.ts';

/**
 * Orthogonal fine-tuning. Options, names and start values follow peft's OFTConfig.
 * A linear module gets its input x turned, `base(x R)`; an embedding its output, `base(ids) R`. R has blocks of rotations on its diagonal.
 * Source: Qiu et al. 2023, arXiv:2306.07280; peft, tuners/oft/layer.py.
 */
export const oftTuner = matrixTuner(oftMethod, (target, config) => {
  const { name, shape, size } = rotationOf(target, config);
  const length = elementCount(shape);
  const blocks = ({ parameter }: LayerContext) => rotations(parameter(name), size, config);
  return {
    parameters: [
      {
        name,
        shape,
        init: config.init_weights ? constant(length, 0) : drawn(length, (random) => 0.1 * random.normal()),
      },
    ],
    ...(target.kind === 'embedding'
      ? { embedding: (context, ids, base) => rotatedBlocks(base(ids), blocks(context)) }
      : { linear: (context, x, base) => base(rotatedBlocks(x, blocks(context))) }),
    merge: turned(target, config),
  };
});

/** `W Rᵀ` of a linear module's `(out, in)`, `W R` of an embedding's `(V, H)`: each row's blocks are turned. */
function turned(target: MatrixTarget, config: OftConfig): Merge {
  const { name, size, blocks } = rotationOf(target, config);
  return (weight, adapter) => {
    const matrices = rotationsOf(adapter(name), size, config);
    const isEmbedding = target.kind === 'embedding';
    const merged = new Float32Array(weight.length);
    for (let start = 0; start < weight.length; start += size) {
      const r = matrices[config.block_share ? 0 : (start / size) % blocks]!;
      for (let k = 0; k < size; k++) {
        let sum = 0;
        for (let c = 0; c < size; c++)
          sum += (isEmbedding ? r[c * size + k]! : r[k * size + c]!) * weight[start + c]!;
        merged[start + k] = sum;
      }
    }
    return merged;
  };
}
