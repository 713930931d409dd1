import { type Static, Type } from 'typebox';
import { configFault, type Fault } from '../../schema/check-fields.ts';
import {
  dropoutProbability,
  excludeModules,
  fanInFanOut,
  layersPattern,
  layersToTransform,
  modulesToSave,
  targetModules,
  taskType,
  trainedBiases,
} from '../../schema/schema-parts.ts';
import { matrixMethod } from '../matrices/method.ts';
import { type MatrixTarget, matrixTargets } from '../matrices/targets.ts';

/** OFT, with the names and defaults of HF PEFT 0.21's OFTConfig. */
const OftConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('OFT', { description: 'The PEFT method.' }),
    task_type: taskType,
    r: Type.Integer({
      minimum: 0,
      maximum: 65_536,
      default: 0,
      description: 'Number of blocks of each layer, instead of oft_block_size, which must then be 0.',
    }),
    oft_block_size: Type.Integer({
      minimum: 0,
      maximum: 4096,
      default: 32,
      description:
        'Number of inputs that are rotated together. Where it does not divide the inputs of a layer, the nearest number that does.',
    }),
    module_dropout: dropoutProbability('Has no effect: HF PEFT 0.21 does not read it.'),
    target_modules: targetModules,
    fan_in_fan_out: fanInFanOut,
    bias: trainedBiases('oft_only'),
    exclude_modules: excludeModules,
    init_weights: Type.Boolean({
      default: true,
      description: 'Start without a rotation. false: small random ones, for tests.',
    }),
    layers_to_transform: layersToTransform,
    layers_pattern: layersPattern,
    modules_to_save: modulesToSave,
    block_share: Type.Boolean({ default: false, description: 'Use one rotation for all blocks of a layer.' }),
    use_cayley_neumann: Type.Boolean({
      default: true,
      description: 'Compute rotations by a short series, which is faster, instead of exactly, by an inverse.',
    }),
    num_cayley_neumann_terms: Type.Integer({
      minimum: 1,
      maximum: 32,
      default: 5,
      description: 'Number of terms of that series.',
    }),
  },
  {
    $id: 'OFTConfig',
    description: 'Orthogonal fine-tuning. Source: Qiu et al. 2023, arXiv:2306.07280; 2025, arXiv:2506.19847.',
  },
);

export type OftConfig = Static<typeof OftConfigSchema>;

const usual = { oft_block_size: 32, target_modules: 'all-linear' } as const;

export const oftMethod = matrixMethod<OftConfig>({
  title: 'OFT',
  when: "To keep more of what the model knew: it turns the inputs of layers and changes no lengths. In HF PEFT's benchmark (Llama 3.2 3B on MetaMathQA) its accuracy was 49.1 %, the default method's 47.8 %, in four fifths of its time and the same memory.",
  paper: 'https://arxiv.org/abs/2306.07280',
  usual,
  classifier: usual,
  schema: OftConfigSchema,
  unimplemented: { coft: false, eps: 6e-5 },
  choose: (given) => ({ ...usual, ...(given.r ? { oft_block_size: 0 } : {}) }),
  forms: ['block_share', 'use_cayley_neumann'],
  faults: oftFaults,
  idle: oftIdle,
  rates: { classifier: 10, others: 1 },
  targets: (config, model) => matrixTargets(config, model, { method: 'OFT', embeddings: true }),
  tensors: (target, config) => [rotationOf(target, config)],
  tensorNames: ['oft'],
  floats: ['module_dropout', 'eps'],
});

/** The trained tensor of a module: an upper triangle `size (size − 1) / 2` for each of its rotations. */
export function rotationOf(
  target: MatrixTarget,
  config: Pick<OftConfig, 'r' | 'oft_block_size' | 'block_share'>,
): { name: string; shape: number[]; size: number; blocks: number } {
  const width = target.kind === 'embedding' ? target.out : target.width;
  const size =
    config.r === 0 ? nearestDivisor(width, config.oft_block_size) : width / nearestDivisor(width, config.r);
  const blocks = width / size;
  return {
    name: `${target.name}.${target.kind === 'embedding' ? 'oft_embedding_R' : 'oft_R'}.weight`,
    shape: [config.block_share ? 1 : blocks, (size * (size - 1)) / 2],
    size,
    blocks,
  };
}

/** The divisor of `width` that is nearest to `wanted`, the smaller of two. Source: peft, tuners/oft/layer.py (adjust_oft_parameters). */
function nearestDivisor(width: number, wanted: number): number {
  if (wanted >= width) return width;
  let [above, below] = [wanted, wanted];
  while (width % above !== 0) above++;
  while (width % below !== 0) below--;
  return wanted - below <= above - wanted ? below : above;
}

/** Source: OFTConfig.__post_init__. */
function oftFaults(given: Record<string, unknown>): Fault[] {
  const { r = 0, oft_block_size: size = 32 } = given as Partial<OftConfig>;
  const faults: Fault[] = [];
  if (r === 0 && size === 0) faults.push(configFault('oft_block_size', 'or r must be above 0'));
  if (r !== 0 && size !== 0)
    faults.push(configFault('r', 'and oft_block_size determine each other: set one of them to 0'));
  return faults;
}

function oftIdle(given: Record<string, unknown>): Fault[] {
  const { module_dropout: drop, num_cayley_neumann_terms: terms, use_cayley_neumann: series } = given;
  const faults: Fault[] = [];
  if (typeof drop === 'number' && drop > 0)
    faults.push(configFault('module_dropout', 'has no effect: HF PEFT 0.21 does not read it'));
  if (terms !== undefined && series === false)
    faults.push(configFault('num_cayley_neumann_terms', 'has an effect only with use_cayley_neumann'));
  if (terms === 1)
    faults.push(configFault('num_cayley_neumann_terms', 'must be 2 or more to rotate anything'));
  return faults;
}
