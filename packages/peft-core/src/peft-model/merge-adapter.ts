import { GraftError } from '../errors.ts';
import {
  type BaseModel,
  copySentencePooling,
  type QuantisedBase,
  untiedFields,
  withTurnEnds,
  writeModelFolder,
} from '../files.ts';
import { writesText } from '../outlines/index.ts';
import { modelClass } from '../outlines/model-class.ts';
import { storedName } from '../outlines/outline.ts';
import { loadTokenizer } from '../text/index.ts';
import { tunerFor } from '../tuners/registry.ts';
import { dequantised } from '../weights/dequantised.ts';
import { adapterConfig } from './adapter-architecture.ts';
import { readFittingAdapter } from './adapter-fit.ts';

/** What an adapter is merged into: the base model as it is served, or the quantised one of training, unpacked. */
export type MergeBase = 'original' | 'dequantised';

export interface MergedModel {
  base: MergeBase;
  /** The quantised base that the adapter was trained on; null where its files name none. */
  quantised: QuantisedBase | null;
}

/**
 * Writes the base model with an adapter merged into its weights as a plain Hugging Face folder, whose generation_config.json ends answers
 * where turns of conversations end, too. With `into` "dequantised" the base's weights are first quantised as they were while the adapter
 * trained, and unpacked: the model is then the one that was trained. Throws what `readFittingAdapter` throws, `not_mergeable`;
 * `base_not_quantised` where the adapter's files name no quantised base.
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
  // A tied weight that is merged otherwise than the one it is tied to becomes a weight of its own.
  const untied = Object.entries(architecture.aliases)
    .filter(([alias, source]) => merges.get(alias) !== merges.get(source))
    .map(([name, source]) => ({
      name,
      shape: architecture.parameters.find((p) => p.name === source)!.shape,
    }));
  // A head that the base lacks comes from the adapter; what neither has is left out.
  const own = architecture.parameters.filter(({ name }) => stored(name) !== undefined || merges.has(name));
  await writeModelFolder(outputDir, {
    base,
    tensors: [...own, ...untied].map(({ name, shape }) => ({ name, shape, data: () => merged(name) })),
    replaced: own.flatMap(({ name }) => stored(name) ?? []),
    config: {
      ...adapterConfig(base, adapter),
      architectures: [modelClass(base.modelType, config.task_type)],
      ...(untied.length > 0 ? untiedFields(base.config) : {}),
    },
    generationConfig: writesText(config.task_type)
      ? withTurnEnds(base, loadTokenizer(base.tokenizerFiles))
      : base.generationConfig,
  });
  if (config.task_type === 'FEATURE_EXTRACTION') await copySentencePooling(base.path, outputDir);
  return { base: into, quantised };
}
