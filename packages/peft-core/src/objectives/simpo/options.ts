import { Type } from 'typebox';
import type { PreferenceOptions } from '../objective.ts';
import { betaOf } from '../preference/beta.ts';

export interface SimpoOptions {
  beta: number;
  simpo_gamma: number;
  cpo_alpha: number;
}

/** Names and defaults: trl, experimental/cpo; beta and cpo_alpha are those of the paper. */
export const simpoOptions = {
  properties: {
    beta: betaOf('factor of the mean log-probabilities. Default 2.'),
    simpo_gamma: Type.Optional(
      Type.Number({ minimum: 0, maximum: 100, description: 'margin between the rewards. Default 0.5.' }),
    ),
    cpo_alpha: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1000,
        description: 'factor of the negative log-likelihood of chosen completions. Default 0.',
      }),
    ),
  },
  defaults: { beta: 2, simpo_gamma: 0.5, cpo_alpha: 0 },
} satisfies PreferenceOptions;
