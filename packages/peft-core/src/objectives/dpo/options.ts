import { Type } from 'typebox';
import { show } from '../../schema/check-fields.ts';
import type { PreferenceOptions } from '../objective.ts';
import { betaOf } from '../preference/beta.ts';

/** Losses on the log-ratios of a pair, and `sft`, which learns the chosen completion. */
export const dpoLosses = ['sigmoid', 'hinge', 'ipo', 'robust', 'sigmoid_norm', 'sft'] as const;
export type DpoLossName = (typeof dpoLosses)[number];

export interface DpoOptions {
  beta: number;
  loss_type: DpoLossName | readonly DpoLossName[];
  /** Default: 1 each. */
  loss_weights?: readonly number[];
  /** Default: 0. */
  label_smoothing?: number;
  /** Default: false. */
  reference_free?: boolean;
}

const lossType = Type.Enum([...dpoLosses], { type: 'string' });

/** Names and defaults: trl, trainer/dpo_config.py. */
export const dpoOptions = {
  properties: {
    beta: betaOf('how strongly the model is held to the reference. Default 0.1.'),
    loss_type: Type.Optional(
      Type.Union([lossType, Type.Array(lossType, { minItems: 1, maxItems: 4, uniqueItems: true })], {
        description: 'the loss, or several that are added with loss_weights. Default sigmoid.',
      }),
    ),
    loss_weights: Type.Optional(
      Type.Array(Type.Number({ minimum: 0, maximum: 1000 }), {
        minItems: 1,
        maxItems: 4,
        description: 'factor of each loss_type. Default: 1 each.',
      }),
    ),
    label_smoothing: Type.Optional(
      Type.Number({
        minimum: 0,
        exclusiveMaximum: 0.5,
        description:
          'share of pairs that are expected to be the wrong way round, for loss_type robust. Default 0.',
      }),
    ),
    reference_free: Type.Optional(
      Type.Boolean({
        description: 'without a reference model, as if all its log-probabilities were 0. Default false.',
      }),
    ),
  },
  defaults: { beta: 0.1, loss_type: 'sigmoid' },
  faults(given) {
    const { loss_type, loss_weights: weights, label_smoothing: smoothing } = given as unknown as DpoOptions;
    const types = lossesOf(loss_type);
    const faults: [string, string][] = [];
    if (weights && weights.length !== types.length)
      faults.push([
        'loss_weights',
        `has ${weights.length} numbers for ${types.length} loss_type: ${show(types)}`,
      ]);
    if (smoothing && !types.includes('robust'))
      faults.push([
        'label_smoothing',
        `has an effect only with the loss_type robust, and it is ${show(types)}`,
      ]);
    return faults;
  },
} satisfies PreferenceOptions;

export const lossesOf = (given: DpoOptions['loss_type']): readonly DpoLossName[] =>
  typeof given === 'string' ? [given] : given;
