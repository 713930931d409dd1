import { Type } from 'typebox';

export const beta = Type.Number({ exclusiveMinimum: 0, maximum: 100 });

/** The schema of `beta`, whose meaning differs between objectives. */
export const betaOf = (meaning: string) =>
  Type.Optional(Type.Union([Type.Literal('auto'), beta], { description: meaning }));
