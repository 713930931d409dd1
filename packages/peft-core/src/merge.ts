import { GraftError } from './errors.ts';
import { type BaseModel, readAdapter, writeModelFolder } from './formats/index.ts';
import { architectureFor } from './models/registry.ts';
import { storedName } from './outlines/stored-name.ts';
import { attach, tunerFor } from './tuners/registry.ts';

/** Writes the base model with an adapter merged into its weights as a plain Hugging Face folder. Throws `adapter_mismatch`, `not_mergeable`. */
export async function mergeAdapter({
  base,
  adapterDir,
  outputDir,
}: {
  base: BaseModel;
  adapterDir: string;
  outputDir: string;
}): Promise<void> {
  const { config, tensors } = await readAdapter(adapterDir);
  const architecture = architectureFor(base.modelType, base.config, config.task_type);
  const { keyPrefix } = tunerFor(config);
  const { merges, parameters, unmergeable } = attach(config, architecture, 'folded');
  if (unmergeable) {
    throw new GraftError('not_mergeable', `${config.peft_type} cannot be merged: ${unmergeable}`, {
      param: 'adapter',
    });
  }
  const absent = parameters.find((p) => tensors.get(keyPrefix + p.name)?.shape.join() !== p.shape.join());
  if (absent)
    throw new GraftError(
      'adapter_mismatch',
      `the adapter does not fit the base model: ${absent.name} is missing or of another shape`,
      { param: 'adapter' },
    );
  const present = new Set(base.tensors.names());
  const stored = (name: string) => storedName(architecture, name, (n) => present.has(n));
  const merged = async (name: string): Promise<Float32Array> => {
    const source = stored(name);
    const data = source ? await base.tensors.readFloat32(source) : new Float32Array(0);
    const merge = merges?.get(name);
    return merge ? merge(data, (key) => tensors.get(keyPrefix + key)!.data) : data;
  };
  // A tied head that the adapter changes is a weight of its own from now on.
  const untied = Object.keys(architecture.aliases).filter((alias) => merges?.has(alias));
  const specs = [
    ...architecture.parameters,
    ...untied.map((name) => ({
      name,
      shape: architecture.parameters.find((p) => p.name === architecture.aliases[name])!.shape,
    })),
  ];
  await writeModelFolder(outputDir, {
    base,
    tensors: specs.map(({ name, shape }) => ({ name, shape, data: () => merged(name) })),
    ...(untied.length > 0 ? { config: { tie_word_embeddings: false } } : {}),
  });
}
