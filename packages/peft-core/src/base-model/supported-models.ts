import { GraftError } from '../errors.ts';
import { outlineOf } from '../outlines/index.ts';
import { storedName } from '../outlines/stored-name.ts';
import type { OpenedModel } from './base-model.ts';
import { checkShapes, missingWeights } from './check-weights.ts';

/** Stored types whose values are weights. */
const weightTypes = /^(F64|F32|F16|BF16|Q\w+)$/;

/**
 * Checks that a model is of a supported kind, complete, and as large as config.json says. Returns its `model_type`. Throws
 * `unsupported_model`, `invalid_model_config`, `invalid_model`, `unsupported_dtype`.
 */
export function checkModel({ path, config, tensors }: OpenedModel): string {
  const outline = inFolder(path, () => outlineOf(config));
  const [missing] = missingWeights(tensors, outline);
  if (missing !== undefined)
    throw new GraftError('invalid_model', `${path} lacks the tensor "${missing}"`, { param: 'model' });
  const present = new Set(tensors.names());
  for (const { name } of outline.parameters) {
    const stored = storedName(outline, name, (n) => present.has(n));
    if (stored === undefined) continue;
    const { dtype } = tensors.info(stored);
    if (!weightTypes.test(dtype)) {
      throw new GraftError(
        'unsupported_dtype',
        `${path}: tensor "${stored}" is stored as ${dtype}; weights may be F64, F32, F16 or BF16`,
        { param: 'model' },
      );
    }
  }
  checkShapes(path, tensors, outline);
  return outline.modelType;
}

function inFolder<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    throw new GraftError(error.code, `${path}: ${error.message}`, { param: 'model', cause: error });
  }
}
