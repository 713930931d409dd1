import { GraftError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { llama } from './llama.ts';

/** Every architecture, by Hugging Face `model_type`. */
const architectures: Record<string, (config: Record<string, unknown>) => Architecture> = { llama };

/** The architecture of a base model. Throws `unsupported_model` naming the supported ones. */
export function architectureFor(modelType: string, config: Record<string, unknown>): Architecture {
  const make = Object.hasOwn(architectures, modelType) ? architectures[modelType] : undefined;
  if (make) return make(config);
  const known = Object.keys(architectures).join(', ');
  throw new GraftError(
    'unsupported_model',
    `model_type "${modelType}" is not supported; supported: ${known}`,
    { param: 'model' },
  );
}
