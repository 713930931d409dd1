import { type Static, Type } from 'typebox';
import { isClassifier, type ModelOutline } from '../../outlines/outline.ts';
import { configFault, type Fault, optionError } from '../../schema/check-fields.ts';
import { layerFaults, modulePatternFaults } from '../../schema/module-options.ts';
import {
  excludeModules,
  fanInFanOut,
  layersPattern,
  layersToTransform,
  modulesToSave,
  targetModules,
  taskType,
} from '../../schema/schema-parts.ts';
import { checkTransposed } from '../idle-targets.ts';
import {
  checkMatrixNames,
  checkRank,
  type MatrixTarget,
  matrixFileTensors,
  matrixTargets,
  rankedTargets,
} from '../matrices/targets.ts';
import { chosenRank, costlyTargets, type Method, rateByWidth } from '../method.ts';

/** HiRA, with the names and defaults of HF PEFT 0.21's HiraConfig. */
const HiraConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('HIRA', { description: 'The PEFT method.' }),
    task_type: taskType,
    r: Type.Integer({ minimum: 1, maximum: 4096, default: 32, description: 'Rank of the update matrices.' }),
    target_modules: targetModules,
    exclude_modules: excludeModules,
    hira_dropout: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0,
      description: 'Probability that an input of the update is dropped during training. Not for embeddings.',
    }),
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

const usual = { r: 32, target_modules: 'all-linear' };

export const hiraMethod: Method<HiraConfig> = {
  title: 'HiRA',
  when: "For the best accuracy at the size of the default method, if time does not matter: it multiplies weights instead of adding to them, so that its updates have a high rank. In HF PEFT's benchmark (Llama 3.2 3B on MetaMathQA) its accuracy was 51.3 %, the default method's at the same rank 47.8 %, in three quarters of its time. Every step computes a copy of each weight; merge it to serve it fast.",
  paper: 'https://openreview.net/forum?id=TwJrTz9cRS',
  library: 'HF PEFT',
  usual,
  trials: {
    languageModel: { options: usual, epochs: 3, margin: 50 },
    classifier: { options: { r: 32, target_modules: ['query', 'value'] }, epochs: 10 },
  },
  schema: HiraConfigSchema,
  unimplemented: {},
  choose: (given, maxRank) => ({
    ...usual,
    r: chosenRank(given, usual.r, maxRank),
  }),
  costly: costlyTargets,
  faults: (given): Fault[] => [...modulePatternFaults(given), ...layerFaults(given)],
  idle: ({ rank_pattern: ranks }) =>
    Object.keys((ranks as object | undefined) ?? {}).length === 0
      ? []
      : [configFault('rank_pattern', 'has no effect: HF PEFT 0.21 gives every module the rank r')],
  // Measured: see docs/auto.md.
  learningRate: ({ task_type: task }, model) => rateByWidth(isClassifier(task) ? 125 : 25, model),
  check(config, model) {
    const scaled = hiraTargets(config, model).find(
      ({ kind, outputFactor }) => kind === 'embedding' && outputFactor !== 1,
    );
    if (scaled)
      throw optionError(
        'target_modules',
        `HIRA does not adapt ${scaled.name}, whose output the model scales: in HF PEFT the merged model would be another one`,
      );
  },
  checkIdle(config, model) {
    const targets = hiraTargets(config, model);
    checkMatrixNames(config, model, targets);
    for (const target of rankedTargets(targets, config, model))
      checkRank(config.r, Math.min(target.width, target.out), target);
    checkTransposed(
      config,
      targets.map(({ name }) => name),
      model,
    );
  },
  fileTensors: (config, model) =>
    matrixFileTensors(config, model, hiraTargets(config, model), (target) => {
      const { a, b } = factorNames(target);
      const { width, out } = target;
      return [
        { name: a, shape: [config.r, width] },
        { name: b, shape: [out, config.r] },
      ];
    }),
  // The weight, its update, their product, and in the backward pass the gradient of that.
  weightCopies: () => 4,
  tensorNames: ['hira'],
  floats: ['hira_dropout'],
};

/** The modules that `config` adapts. Throws what `matrixTargets` throws. */
export const hiraTargets = (config: HiraConfig, model: ModelOutline): MatrixTarget[] =>
  matrixTargets(config, model, { method: 'HIRA', embeddings: true, transposed: true });

/** The names of a module's factors in the files. */
export const factorNames = ({ name, kind }: MatrixTarget) =>
  kind === 'embedding'
    ? { a: `${name}.hira_embedding_A`, b: `${name}.hira_embedding_B` }
    : { a: `${name}.hira_A`, b: `${name}.hira_B` };
