import { type Static, Type } from 'typebox';
import { configFault, optionError } from '../../schema/check-fields.ts';
import {
  dropoutProbability,
  excludeModules,
  fanInFanOut,
  layersPattern,
  layersToTransform,
  modulesToSave,
  targetModules,
  taskType,
  updateRank,
} from '../../schema/schema-parts.ts';
import { matrixMethod } from '../matrices/method.ts';
import { type MatrixTarget, matrixTargets } from '../matrices/targets.ts';

/** HiRA, with the names and defaults of HF PEFT 0.21's HiraConfig. */
const HiraConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('HIRA', { description: 'The PEFT method.' }),
    task_type: taskType,
    r: updateRank(32),
    target_modules: targetModules,
    exclude_modules: excludeModules,
    hira_dropout: dropoutProbability(
      'Probability that an input of the update is dropped during training. Not for embeddings.',
    ),
    fan_in_fan_out: fanInFanOut,
    modules_to_save: modulesToSave,
    init_weights: Type.Union([Type.Boolean(), Type.Enum(['gaussian'], { type: 'string' }), Type.Null()], {
      default: true,
      description:
        'true: Kaiming-uniform A, zero B. "gaussian": normal A with deviation 1/r, zero B. false or null: both random, for tests.',
    }),
    layers_to_transform: layersToTransform,
    layers_pattern: layersPattern,
    rank_pattern: Type.Record(Type.String(), Type.Integer({ minimum: 1, maximum: 4096 }), {
      default: {},
      maxProperties: 1024,
      description: 'Has no effect: HF PEFT 0.21 does not read it.',
    }),
  },
  {
    $id: 'HiraConfig',
    description:
      'Hadamard high-rank adaptation. Source: Huang et al. 2025, openreview.net/forum?id=TwJrTz9cRS.',
  },
);

export type HiraConfig = Static<typeof HiraConfigSchema>;

export const hiraMethod = matrixMethod<HiraConfig>({
  title: 'HiRA',
  when: "For the best accuracy at the size of the default method, if time does not matter: it multiplies weights instead of adding to them, so that its updates have a high rank. In HF PEFT's benchmark (Llama 3.2 3B on MetaMathQA) its accuracy was 51.3 %, the default method's at the same rank 47.8 %, in three quarters of its time. Every step computes a copy of each weight; merge it to serve it fast.",
  paper: 'https://openreview.net/forum?id=TwJrTz9cRS',
  usual: { r: 32, target_modules: 'all-linear' },
  classifier: { r: 32, target_modules: ['query', 'value'] },
  schema: HiraConfigSchema,
  idle: ({ rank_pattern: ranks }) =>
    Object.keys((ranks as object | undefined) ?? {}).length === 0
      ? []
      : [configFault('rank_pattern', 'has no effect: HF PEFT 0.21 gives every module the rank r')],
  rates: { classifier: 125, others: 25 },
  targets: (config, model) =>
    matrixTargets(config, model, { method: 'HIRA', embeddings: true, transposed: true }),
  checkTarget({ name, kind, outputFactor }) {
    if (kind === 'embedding' && outputFactor !== 1)
      throw optionError(
        'target_modules',
        `HIRA does not adapt ${name}, whose output the model scales: in HF PEFT the merged model would be another one`,
      );
  },
  rank: (_target, { r }) => r,
  tensors(target, { r }) {
    const { a, b } = factorNames(target);
    return [
      { name: a, shape: [r, target.width] },
      { name: b, shape: [target.out, r] },
    ];
  },
  // The weight, its update, their product, and in the backward pass the gradient of that.
  weightCopies: () => 4,
  tensorNames: ['hira'],
  floats: ['hira_dropout'],
});

export const factorNames = ({ name, kind }: MatrixTarget) =>
  kind === 'embedding'
    ? { a: `${name}.hira_embedding_A`, b: `${name}.hira_embedding_B` }
    : { a: `${name}.hira_A`, b: `${name}.hira_B` };
