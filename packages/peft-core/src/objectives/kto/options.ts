import { Type } from 'typebox';
import type { PreferenceOptions } from '../objective.ts';
import { betaOf } from '../preference/beta.ts';

export interface KtoOptions {
  beta: number;
  desirable_weight: number;
  undesirable_weight: number;
}

const weight = (of: string) =>
  Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1000,
      description: `factor of the loss of ${of} completions. Default 1.`,
    }),
  );

/** Names and defaults: trl, trainer/kto_config.py. */
export const ktoOptions = {
  properties: {
    beta: betaOf('how strongly the model is held to the reference. Default 0.1.'),
    desirable_weight: weight('desirable'),
    undesirable_weight: weight('undesirable'),
  },
  defaults: { beta: 0.1, desirable_weight: 1, undesirable_weight: 1 },
} satisfies PreferenceOptions;
