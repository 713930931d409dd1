import path from 'node:path';
import { GraftError } from '../errors.ts';
import { modelTypes, outlineOf } from '../outlines/index.ts';
import { type ModelOutline, storedName } from '../outlines/outline.ts';
import { cut } from '../schema/check-fields.ts';
import type { TensorSource } from '../tensors/tensor-source.ts';
import type { OpenedModel } from './base-model.ts';
import { unsupportedModel } from './nearest-family.ts';

const weightTypes = /^(F64|F32|F16|BF16|MXFP4|Q\w+)$/;

/**
 * Checks that a model is supported and complete, and that its tensors have the shapes of config.json. Returns its `model_type`. Throws
 * `unsupported_model`, `invalid_model_config`, `invalid_model`, `unsupported_dtype`.
 */
export function checkModel({ format, path: place, config, tensors, weightFiles }: OpenedModel): string {
  const outline = withConfigErrors(format === 'hf' ? path.join(place, 'config.json') : place, () => {
    if (!modelTypes.includes(String(config.model_type))) throw unsupportedModel(config, tensors);
    return outlineOf(config);
  });
  // With several files, the index assigns each tensor to its file.
  const where = weightFiles.length === 1 ? weightFiles[0]! : path.join(place, 'model.safetensors.index.json');
  const [missing] = missingWeights(tensors, outline);
  if (missing !== undefined)
    throw new GraftError('invalid_model', `${where} lacks the tensor "${missing}"`, { param: 'model' });
  for (const { name } of outline.parameters) {
    const stored = storedName(outline, name, tensors);
    if (stored === undefined) continue;
    const { dtype } = tensors.info(stored);
    if (!weightTypes.test(dtype)) {
      throw new GraftError(
        'unsupported_dtype',
        `${where}: tensor "${stored}" is stored as ${dtype}; weights must be F64, F32, F16 or BF16, or F8_E4M3 with scales`,
        { param: 'model' },
      );
    }
  }
  checkShapes(where, tensors, outline);
  return outline.modelType;
}

export type StoredTensors = Pick<TensorSource, 'has' | 'info'>;

/** Weights that `outline` needs and a checkpoint lacks, without a task's head, because training can start a new one. */
export function missingWeights(tensors: StoredTensors, outline: ModelOutline): string[] {
  return outline.parameters
    .filter(({ name, fresh }) => fresh === undefined && storedName(outline, name, tensors) === undefined)
    .map(({ name }) => name);
}

/**
 * Throws `invalid_model`, which names the first tensor whose shape differs from config.json. A head may have any
 * shape: a head for other classes than config.json's is not loaded. `where` is the start of the message.
 */
export function checkShapes(where: string, tensors: StoredTensors, outline: ModelOutline): void {
  for (const { name, shape, fresh } of outline.parameters) {
    const stored = storedName(outline, name, tensors);
    if (stored === undefined || fresh !== undefined) continue;
    const found = tensors.info(stored).shape;
    if (found.join() === shape.join()) continue;
    throw new GraftError(
      'invalid_model',
      `${where}: tensor "${stored}" has shape [${found.join(', ')}], config.json says [${shape.join(', ')}]` +
        resizeHint(outline, name, found),
      { param: 'model' },
    );
  }
}

/** A hint for a common mistake: resizing the vocabulary without updating config.json. */
function resizeHint({ modules, vocabularySize }: ModelOutline, name: string, found: number[]): string {
  const module = modules.find((each) => `${each.name}.weight` === name);
  const [rows, width] = found;
  if (module?.out !== vocabularySize || width !== module.in || rows === vocabularySize) return '';
  return `; resized vocabulary: config.json says vocab_size ${vocabularySize}, the table has ${rows} rows; set vocab_size to ${rows}`;
}

/** Maximum length of a message, which may quote a file's content. */
const longestMessage = 500;

/** Runs `read`; its errors name the file of the configuration. */
function withConfigErrors<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const message = cut(error.message.replace(/^config\.json: /, ''), longestMessage);
    throw new GraftError(error.code, `${file}: ${message}`, { param: 'model', cause: error });
  }
}
