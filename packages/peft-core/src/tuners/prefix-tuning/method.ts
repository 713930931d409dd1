import { type Static, Type } from 'typebox';
import { GraftError } from '../../errors.ts';
import { hasEvenKeys, isClassifier, type ModelOutline } from '../../outlines/outline.ts';
import { configFault } from '../../schema/check-fields.ts';
import { countOf, promptTensors, savedTensors } from '../file-tensors.ts';
import type { Method } from '../method.ts';
import {
  affineSize,
  checkPrompt,
  encoderHiddenSize,
  type PromptSizes,
  promptFields,
  virtualTokenSizes,
} from '../soft-prompt.ts';

/** Prefix tuning, with the names and defaults of HF PEFT 0.21's PrefixTuningConfig. */
const PrefixTuningConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('PREFIX_TUNING', { description: 'The PEFT method.' }),
    ...promptFields,
    prefix_projection: Type.Boolean({
      default: false,
      description: 'Train the keys and values through two linear layers with a tanh between.',
    }),
    encoder_hidden_size: encoderHiddenSize,
    init_weights: Type.Union([Type.Literal('zero'), Type.Null()], {
      default: null,
      description: '"zero": keys and values start at zero. Null: they are drawn.',
    }),
  },
  {
    $id: 'PrefixTuningConfig',
    description:
      'Trained keys and values before those of every sequence, in every layer. Source: Li and Liang 2021, arXiv:2101.00190.',
  },
);

export type PrefixTuningConfig = Static<typeof PrefixTuningConfigSchema>;

export const prefixTuningMethod: Method<PrefixTuningConfig> = {
  title: 'Prefix tuning',
  when: 'Generation tasks where the weights may not be touched at all: trained keys and values before every input, in all layers.',
  paper: 'https://arxiv.org/abs/2101.00190',
  library: 'HF PEFT',
  usual: { num_virtual_tokens: 20 },
  trials: { languageModel: { options: { num_virtual_tokens: 10 }, epochs: 6, margin: 30 } },
  schema: PrefixTuningConfigSchema,
  unimplemented: {},
  idle: ({ encoder_hidden_size: width = null, prefix_projection: projected }) =>
    width === null || projected === true
      ? []
      : [
          configFault(
            'encoder_hidden_size',
            'is the width of the layers of prefix_projection; set that to true, or leave this out',
          ),
        ],
  learningRate: () => 2e-2,
  check,
  unmergeable: () =>
    'its keys and values stand before those of the text, where no weight of the base model is',
  leadingPositions: ({ num_virtual_tokens }) => ({ virtualTokens: 0, prefixLength: num_virtual_tokens }),
  trainedParameters: (config, model) =>
    prefixSize(config, model) + countOf(savedTensors(config, model).tensors),
  fileTensors: (config, model) =>
    promptTensors([config.num_virtual_tokens, prefixWidth(model)], config, model),
  tensorNames: ['prompt'],
};

/** Number of parameters that tuner.ts trains: the prefix itself, or a narrow table and the two layers that compute the prefix from it. */
function prefixSize(config: PrefixTuningConfig, model: ModelOutline): number {
  const rows = config.num_virtual_tokens;
  if (!config.prefix_projection) return rows * prefixWidth(model);
  const width = model.kvHeads * model.headSize;
  const hidden = config.encoder_hidden_size ?? width;
  return rows * width + affineSize(hidden, width) + affineSize(prefixWidth(model), hidden);
}

/** Number of elements of one row: a key and a value of every layer. */
export const prefixWidth = ({ layers, kvHeads, headSize }: ModelOutline) => layers * 2 * kvHeads * headSize;

/** The sizes of a prefix, which consists of keys and values. With grouped-query attention they are narrower than the model. */
export function prefixSizes(model: ModelOutline): PromptSizes {
  const { kvHeads, headSize } = model;
  return { ...virtualTokenSizes(model), token_dim: kvHeads * headSize, num_attention_heads: kvHeads };
}

/** Throws `unsupported_task`, `unsupported_model`, `invalid_peft_config`, `target_modules_not_found`. */
function check(config: PrefixTuningConfig, model: ModelOutline): void {
  if (isClassifier(model.task))
    throw new GraftError(
      'unsupported_task',
      `PREFIX_TUNING does not go with ${model.task}: transformers' classifiers take no keys and values from outside, so HF PEFT cannot do it either; the methods that put virtual tokens before the text can`,
      { param: 'peft.task_type' },
    );
  if (model.recurrence)
    throw new GraftError(
      'unsupported_model',
      `PREFIX_TUNING: some layers of ${model.modelType} models carry a state instead of keys and values, so nothing can stand before them there; the methods that put virtual tokens before the text can be used`,
      { param: 'model' },
    );
  if (!hasEvenKeys(model))
    throw new GraftError(
      'unsupported_model',
      `PREFIX_TUNING: layers of this ${model.modelType} model have keys of different sizes, or use those of other layers, so that one prefix does not fit all of them; methods that change weights can be used`,
      { param: 'model' },
    );
  const { kvHeads, headSize, hiddenSize, layers, encoderLayers = layers } = model;
  if (encoderLayers !== layers)
    throw new GraftError(
      'unsupported_model',
      `PREFIX_TUNING: HF PEFT has a prefix for each of the encoder's ${encoderLayers} layers, but the decoder has ${layers}`,
      { param: 'model' },
    );
  if (model.task === 'SEQ_2_SEQ_LM' && kvHeads * headSize !== hiddenSize)
    throw new GraftError(
      'unsupported_model',
      `PREFIX_TUNING: HF PEFT cuts the model's width, ${hiddenSize}, into heads; this model's are ${kvHeads} × ${headSize}`,
      { param: 'model' },
    );
  checkPrompt(config, model, prefixSizes(model));
}
