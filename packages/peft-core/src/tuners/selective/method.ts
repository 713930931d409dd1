import { type Static, Type } from 'typebox';
import { configFault, type Fault } from '../../schema/check-fields.ts';
import { usableFaults } from '../../schema/module-options.ts';
import { LayerIndex, Pattern, TargetNames, taskType } from '../../schema/schema-parts.ts';
import { savedTensors, shapesOf, underModel } from '../file-tensors.ts';
import { type Method, type RatedModel, rateByWidth } from '../method.ts';
import { KINDS, type Kind, selectedParameters } from './selected.ts';

const PRESETS = ['bitfit', 'retrain_embeddings'] as const;

/**
 * Selective tuning, Graft's own method: trains selected parameters of the base model themselves. After parsing every field is present
 * except `preset`, which is replaced by `kinds`.
 */
const SelectiveConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('SELECTIVE', { description: 'The PEFT method.' }),
    task_type: taskType,
    preset: Type.Optional(
      Type.Enum([...PRESETS], {
        type: 'string',
        description:
          'bitfit: kinds ["bias"]. retrain_embeddings: kinds ["head"], the output embedding with the input embedding fixed.',
      }),
    ),
    trainable: Type.Union([TargetNames, Pattern, Type.Null()], {
      default: null,
      description:
        'Parameters to train. Names: of a parameter, of a module, or any run of parts of their paths ("layers.3.mlp", "bias"). A string: a regular expression matched against the whole name.',
    }),
    kinds: Type.Union(
      [
        Type.Array(Type.Enum([...KINDS], { type: 'string' }), { minItems: 1, uniqueItems: true }),
        Type.Null(),
      ],
      {
        default: null,
        description:
          'Parameters to train by kind: bias, norm, embedding (of tokens, positions, types), head (the output layer; a tied one becomes a separate weight), attention, mlp.',
      },
    ),
    layers: Type.Union([Type.Array(LayerIndex, { minItems: 1, maxItems: 1024 }), LayerIndex, Type.Null()], {
      default: null,
      description:
        'Train only in these layers (0-based), of what trainable and kinds choose; alone, these layers whole.',
    }),
  },
  {
    $id: 'SelectiveConfig',
    description:
      'Chosen parameters of the base model are trained themselves: biases (BitFit, Ben Zaken et al. 2021, arXiv:2106.10199), norms, the head, layers.',
  },
);

export type SelectiveConfig = Static<typeof SelectiveConfigSchema>;

const presetKinds: Record<(typeof PRESETS)[number], Kind[]> = {
  bitfit: ['bias'],
  retrain_embeddings: ['head'],
};

export const selectiveMethod: Method<SelectiveConfig> = {
  title: 'Selective tuning',
  when: 'You know which weights matter: biases (BitFit), norms, the head, the last layers. They are trained themselves, and can be merged.',
  paper: 'https://arxiv.org/abs/2106.10199',
  library: null,
  usual: { layers: [30, 31] },
  usualNeedsModel: true,
  trials: {
    languageModel: {
      options: { layers: [24, 25, 26, 27, 28, 29], kinds: ['attention', 'mlp'] },
      epochs: 3,
      margin: 50,
    },
    classifier: { options: { preset: 'bitfit' }, epochs: 10 },
  },
  schema: SelectiveConfigSchema,
  unimplemented: {},
  expand({ preset, ...given }) {
    return preset === undefined
      ? given
      : { ...given, kinds: presetKinds[preset as keyof typeof presetKinds] };
  },
  faults: selectiveFaults,
  learningRate,
  // Norms scale everything after them, and neither norms nor biases learned better in short runs at higher rates (npm run sweep).
  maxRateFactor: (config, dataFactor) => (trainsOnly(config, 'bias', 'norm') ? 1 : dataFactor),
  /** Throws `invalid_peft_config`. */
  check(config, model) {
    selectedParameters(config, model);
  },
  fileTensors(config, model) {
    const { tensors } = savedTensors({}, model);
    const heads = new Set(tensors.map(({ name }) => name));
    const shapes = shapesOf(model);
    const selected = selectedParameters(config, model).filter((name) => !heads.has(name));
    return underModel([
      ...tensors,
      ...selected.map((name) => ({ name, shape: shapes.get(model.aliases[name] ?? name)! })),
    ]);
  },
};

function selectiveFaults(given: Record<string, unknown>): Fault[] {
  const { trainable = null, kinds = null, layers = null } = given as Partial<SelectiveConfig>;
  if (given.preset !== undefined && kinds !== null)
    return [configFault('kinds', `are what preset "${given.preset}" sets; leave one of them out`)];
  if (given.preset === undefined && trainable === null && kinds === null && layers === null)
    return [configFault('trainable', 'nothing would be trained: give trainable, kinds, layers or a preset')];
  return typeof trainable === 'string' ? usableFaults('trainable', [trainable]) : [];
}

/**
 * Small parameters tolerate large steps: norms and biases most, then tables of tokens; whole layers get the rate of full fine-tuning.
 * Source for biases: Ben Zaken et al. 2022, BitFit, who use ten to twenty times the rate of full fine-tuning and more.
 */
function learningRate(config: SelectiveConfig, model?: RatedModel): number {
  if (trainsOnly(config, 'bias', 'norm')) return rateByWidth(50, model);
  return rateByWidth(trainsOnly(config, 'bias', 'norm', 'embedding', 'head') ? 10 : 1, model);
}

function trainsOnly({ trainable, kinds }: SelectiveConfig, ...of: Kind[]): boolean {
  return trainable === null && kinds !== null && kinds.every((kind) => of.includes(kind));
}
