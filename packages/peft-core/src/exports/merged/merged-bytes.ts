import { floatType, isWeightType, type WeightType } from '../../base-model/weight-types.ts';
import { outlineOf } from '../../outlines/index.ts';
import { type ModelOutline, storedName } from '../../outlines/outline.ts';
import { safetensorsTypes } from '../../safetensors/safetensors-header.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { methodOf, type PeftConfig } from '../../tuners/methods.ts';
import type { ExportedAdapter } from '../export-format.ts';

/** Bytes of a tensor's entries in a header and in an index, without its name. */
const entryBytes = 180;

/** Bytes of a merged model's folder at most. */
export function mergedBytes(adapter: ExportedAdapter, dtype: WeightType): number {
  const { tensors, smallFileBytes } = adapter;
  let bytes = smallFileBytes + 4096;
  for (const name of tensors.names()) {
    const { dtype: stored, shape } = tensors.info(name);
    if (!isWeightType(stored)) continue;
    bytes += elementCount(shape) * safetensorsTypes[floatType(dtype, stored)] + headerBytes(name, shape);
  }
  for (const { shape, stored } of newWeights(adapter))
    bytes += elementCount(shape) * safetensorsTypes[floatType(dtype, stored)] + entryBytes;
  return bytes;
}

/** A stack of experts is written as up to two matrices for each. */
const headerBytes = (name: string, shape: readonly number[]): number =>
  (shape.length === 3 ? 2 * shape[0]! : 1) * (2 * name.length + entryBytes);

/** Tied weights that an adapter may change apart from their source, and the name of the source. */
export function untiedWeights(config: PeftConfig, outline: ModelOutline): { name: string; source: string }[] {
  const keys = (methodOf(config).fileTensors?.(config, outline) ?? []).map(({ key }) => key);
  const isTrained = (parameter: string) => {
    const module = parameter.replace(/\.\w+$/, '');
    return keys.some((key) => `.${key}`.includes(`.${module}.`));
  };
  return Object.entries(outline.aliases)
    .filter((names) => names.some(isTrained))
    .map(([name, source]) => ({ name, source }));
}

/** Weights that the merged model may have beside the base model's: heads of tasks, and tied ones that the adapter changes apart. */
function newWeights({ config, modelConfig, tensors }: ExportedAdapter) {
  const outline = outlineOf(modelConfig, config.task_type);
  const shapes = new Map(outline.parameters.map(({ name, shape }) => [name, shape]));
  const untied = untiedWeights(config, outline).filter(({ name }) => !tensors.has(name));
  const heads = outline.parameters.filter(
    ({ name, fresh }) => fresh !== undefined && storedName(outline, name, tensors) === undefined,
  );
  return [
    ...heads.map(({ shape }) => ({ shape, stored: null })),
    ...untied.map(({ source }) => {
      const stored = storedName(outline, source, tensors);
      return { shape: shapes.get(source)!, stored: stored ? tensors.info(stored).dtype : null };
    }),
  ];
}
