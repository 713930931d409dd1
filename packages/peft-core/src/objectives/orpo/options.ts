import type { PreferenceOptions } from '../objective.ts';
import { betaOf } from '../preference/beta.ts';

export interface OrpoOptions {
  beta: number;
}

/** Names and defaults: trl, experimental/orpo. */
export const orpoOptions = {
  properties: { beta: betaOf('factor of the odds ratio in the loss. Default 0.1.') },
  defaults: { beta: 0.1 },
} satisfies PreferenceOptions;
