import { GraftError } from '../errors.ts';
import { bert } from './bert.ts';
import { decoders } from './decoders.ts';
import type { Family } from './family.ts';
import { gpt2 } from './gpt2.ts';
import { roberta } from './roberta.ts';
import { t5 } from './t5.ts';

/** Every model family, by Hugging Face's `model_type`. `models/registry.ts` has the forward passes. */
const rows = { ...decoders, gpt2, bert, roberta, t5 } satisfies Record<string, Family>;

export type ModelType = keyof typeof rows;

export const families: readonly Family[] = Object.values(rows);

export const modelTypes: readonly string[] = Object.keys(rows);

/** Throws `unsupported_model`, which lists the supported types. */
export function requireModelType(modelType: string): ModelType {
  if (Object.hasOwn(rows, modelType)) return modelType as ModelType;
  throw new GraftError(
    'unsupported_model',
    `model_type "${modelType}" is not supported; supported: ${modelTypes.join(', ')}`,
    { param: 'model' },
  );
}

/** Throws `unsupported_model`. */
export function familyOf(modelType: string): Family {
  return rows[requireModelType(modelType)];
}
