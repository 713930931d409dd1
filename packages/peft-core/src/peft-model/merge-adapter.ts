import { GraftError } from '../errors.ts';
import {
  type BaseModel,
  copySentencePooling,
  untiedFields,
  withTurnEnds,
  writeModelFolder,
} from '../files.ts';
import { writesText } from '../outlines/index.ts';
import { modelClass } from '../outlines/model-class.ts';
import { storedName } from '../outlines/outline.ts';
import { loadTokenizer } from '../text/index.ts';
import { tunerFor } from '../tuners/registry.ts';
import { adapterConfig } from './adapter-architecture.ts';
import { readFittingAdapter } from './adapter-fit.ts';

/**
 * Writes the base model with an adapter merged into its weights as a plain Hugging Face folder, whose generation_config.json ends answers
 * where turns of conversations end, too. Throws what `readFittingAdapter` throws, `not_mergeable`.
 */
export async function mergeAdapter({
  base,
  adapterDir,
  outputDir,
}: {
  base: BaseModel;
  adapterDir: string;
  outputDir: string;
}): Promise<void> {
  const { adapter, architecture, attachment } = await readFittingAdapter(base, adapterDir);
  const { config, tensors } = adapter;
  const { keyPrefix } = tunerFor(config);
  const { merges = new Map(), unmergeable } = attachment;
  if (unmergeable) {
    throw new GraftError('not_mergeable', `${config.peft_type} cannot be merged: ${unmergeable}`, {
      param: 'adapter',
    });
  }

  const stored = (name: string) => storedName(architecture, name, base.tensors);
  const merged = async (name: string): Promise<Float32Array> => {
    const source = stored(name);
    const data = source ? await base.tensors.readFloat32(source) : new Float32Array(0);
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
}
