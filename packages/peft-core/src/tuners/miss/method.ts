import { type Static, Type } from 'typebox';
import { configFault, type Fault, optionError } from '../../schema/check-fields.ts';
import {
  dropoutProbability,
  excludeModules,
  layersPattern,
  layersToTransform,
  modulesToSave,
  targetModules,
  taskType,
  trainedBiases,
} from '../../schema/schema-parts.ts';
import { matrixMethod } from '../matrices/method.ts';
import { checkRank, type MatrixTarget, matrixTargets } from '../matrices/targets.ts';

/** MiSS, with the names and defaults of HF PEFT 0.21's MissConfig. */
const MissConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('MISS', { description: 'The PEFT method.' }),
    task_type: taskType,
    r: Type.Integer({
      minimum: 1,
      maximum: 4096,
      default: 64,
      description:
        'Length of the blocks that the input of a layer is cut into, whose sum is the input of the update.',
    }),
    miss_dropout: dropoutProbability(),
    mini_r: Type.Integer({
      minimum: 1,
      maximum: 65_536,
      default: 1,
      description: 'With init_weights "mini": the number of outputs after which the update repeats.',
    }),
    target_modules: targetModules,
    exclude_modules: excludeModules,
    init_weights: Type.Union([Type.Boolean(), Type.Enum(['bat', 'mini'], { type: 'string' })], {
      default: true,
      description:
        'true: one matrix for all blocks of a weight, zero at the start. "bat": a matrix for each block of rows, which also multiplies the weight; r must divide both sizes of a layer. "mini": an update that repeats after mini_r outputs. false: a random start, for tests.',
    }),
    layers_to_transform: layersToTransform,
    layers_pattern: layersPattern,
    bias: trainedBiases('MiSS_only'),
    modules_to_save: modulesToSave,
  },
  { $id: 'MissConfig', description: 'Matrix shard sharing. Source: Kang et al. 2024, arXiv:2409.15371.' },
);

export type MissConfig = Static<typeof MissConfigSchema>;

export const missMethod = matrixMethod<MissConfig>({
  title: 'MiSS',
  when: 'When memory or time is short: one matrix for each weight. In HF PEFT\'s benchmark (Llama 3.2 3B on MetaMathQA) it was the fastest and needed the least memory, 20.3 GB against 22.3 of the default method at rank 32, with an accuracy of 48.7 % against 47.8; "bat" has 50.4 %, takes half as long again and needs 25.2 GB.',
  paper: 'https://arxiv.org/abs/2409.15371',
  usual: { r: 64, target_modules: 'all-linear' },
  classifier: { r: 32, target_modules: ['query', 'value'] },
  schema: MissConfigSchema,
  forms: ['init_weights'],
  idle: missIdle,
  rates: { classifier: 15, others: 1 },
  targets: (config, model) => matrixTargets(config, model, { method: 'MISS' }),
  checkTarget: checkSizes,
  tensors: (target, config) => [missBlock(target, config)],
  // Sums of blocks; "bat" keeps no more than the inputs of layers.
  kept: (_target, { r, init_weights }) => (init_weights === 'bat' ? 0 : r),
  // The weight, what it is multiplied to, and in the backward pass the gradient of that.
  weightCopies: ({ init_weights }) => (init_weights === 'bat' ? 4 : 0),
  tensorNames: ['miss'],
  floats: ['miss_dropout'],
});

/** The trained tensor of a module. */
export function missBlock(
  { name, out }: MatrixTarget,
  { r, mini_r, init_weights }: MissConfig,
): { name: string; shape: number[] } {
  const shapes = { bat: [out / r, r, r], mini: [r, mini_r] };
  return {
    name: `${name}.miss_block`,
    shape: typeof init_weights === 'string' ? shapes[init_weights] : [r, out],
  };
}

/** Source: peft, tuners/miss/layer.py (update_layer). */
function checkSizes(target: MatrixTarget, { r, mini_r, init_weights }: MissConfig): void {
  const { name, width, out } = target;
  checkRank(r, width, target);
  if (init_weights === 'bat' && (width % r !== 0 || out % r !== 0))
    throw optionError('r', `must divide both sizes of a layer for "bat", and ${name} is ${out} × ${width}`);
  if (init_weights === 'mini' && out % mini_r !== 0)
    throw optionError('mini_r', `must divide the outputs of a layer, and ${name} has ${out}`);
}

function missIdle(given: Record<string, unknown>): Fault[] {
  const { init_weights: init, mini_r, miss_dropout } = given as Partial<MissConfig>;
  const faults: Fault[] = [];
  if ((mini_r ?? 1) !== 1 && init !== 'mini')
    faults.push(configFault('mini_r', 'has an effect only with init_weights "mini"'));
  if ((miss_dropout ?? 0) > 0 && init === 'bat')
    faults.push(configFault('miss_dropout', 'has no effect with init_weights "bat"'));
  return faults;
}
