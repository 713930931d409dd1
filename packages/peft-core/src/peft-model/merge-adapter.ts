import { GraftError } from '../errors.ts';
import {
  type BaseModel,
  copySentencePooling,
  type ModelTensor,
  type QuantisedBase,
  untiedFields,
  withTurnEnds,
  writeModelFolder,
} from '../files.ts';
import { familyOf } from '../outlines/families.ts';
import { writesText } from '../outlines/index.ts';
import { modelClass } from '../outlines/model-class.ts';
import { storedName } from '../outlines/outline.ts';
import { splitStack } from '../tensors/stacked-tensors.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { loadTokenizer, withChatTemplate } from '../text/index.ts';
import { tunerFor } from '../tuners/registry.ts';
import { dequantised } from '../weights/dequantised.ts';
import { adapterConfig } from './adapter-architecture.ts';
import { readFittingAdapter } from './adapter-fit.ts';

/** The weights that an adapter is merged into: the base model's original ones, or those of the quantised base of training, unpacked. */
export type MergeBase = 'original' | 'dequantised';

export interface MergedModel {
  base: MergeBase;
  /** The quantised base that the adapter was trained on; null if its files name none. */
  quantised: QuantisedBase | null;
}

/**
 * Writes the base model with an adapter merged into its weights as a plain Hugging Face folder. Its generation_config.json also ends
 * answers at the end of a turn. With `into` "dequantised" the base's weights are first quantised as in the adapter's training, and
 * unpacked: the result is then the model that was trained. Throws what `readFittingAdapter` throws, `not_mergeable`;
 * `base_not_quantised` if the adapter's files name no quantised base.
 */
export async function mergeAdapter({
  base,
  adapterDir,
  outputDir,
  into = 'original',
}: {
  base: BaseModel;
  adapterDir: string;
  outputDir: string;
  into?: MergeBase;
}): Promise<MergedModel> {
  const { adapter, architecture, attachment } = await readFittingAdapter(base, adapterDir);
  const { config, tensors, quantised } = adapter;
  if (into === 'dequantised' && !quantised) {
    throw new GraftError(
      'base_not_quantised',
      'the README.md of the adapter names no quantised base that it was trained on, such as base_dtype: "nf4" between its first lines of ---',
      { param: 'base' },
    );
  }
  const { keyPrefix } = tunerFor(config);
  const { merges = new Map(), unmergeable } = attachment;
  if (unmergeable) {
    throw new GraftError('not_mergeable', `${config.peft_type} cannot be merged: ${unmergeable}`, {
      param: 'adapter',
    });
  }

  const trainedOn =
    into === 'dequantised' && quantised
      ? dequantised(architecture, quantised.base_dtype)
      : (_name: string, values: Float32Array) => values;
  const stored = (name: string) => storedName(architecture, name, base.tensors);
  const merged = async (name: string): Promise<Float32Array> => {
    const source = stored(name);
    const data = source ? trainedOn(name, await base.tensors.readFloat32(source)) : new Float32Array(0);
    const merge = merges.get(name);
    return merge ? merge(data, (key: string) => tensors.get(keyPrefix + key)!.data) : data;
  };
  // A tied weight with another merge than its source becomes a separate weight.
  const untied = Object.entries(architecture.aliases)
    .filter(([alias, source]) => merges.get(alias) !== merges.get(source))
    .map(([name, source]) => ({
      name,
      shape: architecture.parameters.find((p) => p.name === source)!.shape,
    }));
  // A head that the base lacks comes from the adapter; parameters that neither has are omitted.
  const own = architecture.parameters.filter(({ name }) => stored(name) !== undefined || merges.has(name));
  const tokenizerFiles = withChatTemplate(base.tokenizerFiles, adapter.chatTemplate);
  await writeModelFolder(outputDir, {
    base,
    tokenizerFiles,
    tensors: [...own, ...untied].flatMap((parameter) => storedTensors(base, parameter, merged)),
    replaced: own.flatMap(({ name }) => stored(name) ?? []),
    config: {
      ...adapterConfig(base, adapter),
      architectures: [modelClass(base.modelType, config.task_type)],
      ...(untied.length > 0 ? untiedFields(base.config) : {}),
    },
    generationConfig: writesText(config.task_type)
      ? withTurnEnds(base, loadTokenizer(tokenizerFiles))
      : base.generationConfig,
  });
  if (config.task_type === 'FEATURE_EXTRACTION') await copySentencePooling(base.path, outputDir);
  return { base: into, quantised };
}

/** The tensors of a merged parameter: itself, or, as transformers writes experts, one for each expert's matrix. */
function storedTensors(
  base: BaseModel,
  { name, shape }: { name: string; shape: readonly number[] },
  merged: (name: string) => Promise<Float32Array>,
): ModelTensor[] {
  const parts = splitStack(name, shape, familyOf(base.modelType).expertTensors ?? {});
  if (parts.length === 0) return [{ name, shape, data: () => merged(name) }];
  // Tensors are written in the order of their names, so that those of several weights alternate.
  let values: Promise<Float32Array> | null = null;
  let waiting = parts.length;
  return parts.map((part) => ({
    name: part.name,
    shape: part.shape,
    async data() {
      values ??= merged(name);
      const own = (await values).slice(part.start, part.start + elementCount(part.shape));
      // The last part releases the whole.
      if (--waiting === 0) values = null;
      return own;
    },
  }));
}
