import { type Static, Type } from 'typebox';
import { configFault } from '../../schema/check-fields.ts';
import { encoderHiddenSize, promptFields } from '../../schema/prompt-fields.ts';
import type { MethodConfig } from '../method.ts';

/** Prefix tuning, with the names and defaults of HF PEFT 0.21's PrefixTuningConfig. */
export const PrefixTuningConfigSchema = Type.Object(
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

export const prefixTuningMethod: MethodConfig = {
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
  learningRate: 1e-2,
};
