import { Type } from 'typebox';

export const beta = Type.Number({ exclusiveMinimum: 0, maximum: 100 });

/** The schema of `beta`, whose meaning differs between objectives. */
export const betaOf = (meaning: string) =>
  Type.Optional(Type.Union([Type.Literal('auto'), beta], { description: meaning }));

/** Options of `training.preference` that a job may also set in `hyperparameters`, and try several values of in `sweep`. */
export const preferenceHyperparameters = ['beta'] as const;
