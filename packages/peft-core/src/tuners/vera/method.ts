import { type Static, Type } from 'typebox';
import type { ModelOutline } from '../../outlines/outline.ts';
import { configFault, type Fault } from '../../schema/check-fields.ts';
import {
  dropoutProbability,
  fanInFanOut,
  layersPattern,
  layersToTransform,
  modulesToSave,
  targetModules,
  taskType,
  trainedBiases,
} from '../../schema/schema-parts.ts';
import { countOf, type FileTensor } from '../file-tensors.ts';
import { matrixMethod } from '../matrices/method.ts';
import { type MatrixTarget, matrixFileTensors, matrixTargets } from '../matrices/targets.ts';
import { lowRankForm } from './low-rank.ts';
import { projectionKeys, projectionShapes, sharedSizes, vectorsOf } from './tensors.ts';

/** VeRA, with the names and defaults of HF PEFT 0.21's VeraConfig. */
const VeraConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('VERA', { description: 'The PEFT method.' }),
    task_type: taskType,
    r: Type.Integer({
      minimum: 1,
      maximum: 4096,
      default: 256,
      description:
        'Rank of the random projections that all layers share. Each layer trains r numbers and one for each output, so it is chosen much higher than a rank whose matrices are trained.',
    }),
    target_modules: targetModules,
    projection_prng_key: Type.Integer({
      minimum: -Number.MAX_SAFE_INTEGER,
      maximum: Number.MAX_SAFE_INTEGER,
      default: 0,
      description: 'Seed of the random projections, which are those of HF PEFT with the same key.',
    }),
    save_projection: Type.Boolean({
      default: true,
      description:
        'Save the projections with the adapter. false: files hold the trained vectors alone, and their reader draws the projections again from projection_prng_key.',
    }),
    vera_dropout: dropoutProbability(),
    d_initial: Type.Number({
      default: 0.1,
      description: 'Start value of the factors between the two projections. Those of the outputs start at 0.',
    }),
    fan_in_fan_out: fanInFanOut,
    bias: trainedBiases('vera_only'),
    modules_to_save: modulesToSave,
    init_weights: Type.Boolean({
      default: true,
      description: 'Start without an update. false: a random one, for tests.',
    }),
    layers_to_transform: layersToTransform,
    layers_pattern: layersPattern,
  },
  {
    $id: 'VeraConfig',
    description: 'Vector-based random matrix adaptation. Source: Kopiczko et al. 2023, arXiv:2310.11454.',
  },
);

export type VeraConfig = Static<typeof VeraConfigSchema>;

export const veraMethod = matrixMethod<VeraConfig>({
  title: 'VeRA',
  when: "When thousands of adapters are kept and each must be tiny: two vectors for each layer are trained between random matrices that all layers share; with save_projection false the files hold the vectors alone. In HF PEFT's benchmark (Llama 3.2 3B on MetaMathQA, two matrices of attention, a low rate) its accuracy was 36.8 %, the default method's 47.8 %. It saves neither time nor much memory: for one good adapter choose the default.",
  paper: 'https://arxiv.org/abs/2310.11454',
  usual: { r: 256, target_modules: 'all-linear' },
  classifier: { r: 256, target_modules: ['query', 'value'] },
  schema: VeraConfigSchema,
  idle: veraIdle,
  rates: { classifier: 300, others: 150 },
  targets: veraTargets,
  trainedParameters: (config, model) =>
    countOf(vectorTensors(config, model).filter(({ needless }) => !needless)),
  constantParameters: (config, model) => countOf(projectionTensors(config, model)),
  tensors: (target, { r }) => vectorsOf(target, r),
  fileTensors: (config, model) => [
    ...vectorTensors(config, model),
    ...(config.save_projection ? projectionTensors(config, model) : []),
  ],
  // The product with A.
  kept: (_target, { r }) => r,
  lowRank: (config, model) => lowRankForm(config, model, veraTargets(config, model)),
  tensorNames: ['vera'],
  floats: ['vera_dropout', 'd_initial'],
});

/** The modules that `config` adapts. Throws what `matrixTargets` throws. */
function veraTargets(config: VeraConfig, model: ModelOutline): MatrixTarget[] {
  return matrixTargets(config, model, { method: 'VERA', transposed: true });
}

function vectorTensors(config: VeraConfig, model: ModelOutline): FileTensor[] {
  return matrixFileTensors(config, model, veraTargets(config, model), (target) =>
    vectorsOf(target, config.r),
  );
}

function projectionTensors(config: VeraConfig, model: ModelOutline): FileTensor[] {
  const { a, b } = projectionShapes(sharedSizes(config.r, veraTargets(config, model)));
  return [
    { key: projectionKeys.vera_A, shape: a },
    { key: projectionKeys.vera_B, shape: b },
  ];
}

function veraIdle({ d_initial: start, init_weights: init }: Record<string, unknown>): Fault[] {
  if (init === false)
    return start === undefined || start === 0.1
      ? []
      : [configFault('d_initial', 'has no effect with init_weights false')];
  return start === 0 ? [configFault('d_initial', 'must not be 0, or nothing is trained')] : [];
}
