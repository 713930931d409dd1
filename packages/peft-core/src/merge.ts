import { KEY_PREFIX } from './adapter-values.ts';
import { GraftError } from './errors.ts';
import { type BaseModel, readAdapter, writeModelFolder } from './formats/index.ts';
import { architectureFor } from './models/registry.ts';
import { tunerFor } from './tuners/registry.ts';

/** Writes the base model with an adapter merged into its weights as a plain Hugging Face folder. Throws `adapter_mismatch`. */
export async function mergeAdapter({
  base,
  adapterDir,
  outputDir,
}: {
  base: BaseModel;
  adapterDir: string;
  outputDir: string;
}): Promise<void> {
  const architecture = architectureFor(base.modelType, base.config);
  const { config, tensors } = await readAdapter(adapterDir);
  const { mergeDelta, parameters, replacements } = tunerFor(config).attach(config, architecture);
  const absent = parameters.find((p) => tensors.get(KEY_PREFIX + p.name)?.shape.join() !== p.shape.join());
  if (absent)
    throw new GraftError(
      'adapter_mismatch',
      `the adapter does not fit the base model: ${absent.name} is missing or of another shape`,
      { param: 'adapter' },
    );

  const merged = async (name: string): Promise<Float32Array> => {
    const standIn = replacements.get(name);
    if (standIn) return tensors.get(KEY_PREFIX + standIn)!.data;
    const data = await base.tensors.readFloat32(architecture.aliases[name] ?? name);
    const delta = mergeDelta(name, (key) => tensors.get(KEY_PREFIX + key)!.data);
    if (delta) for (let i = 0; i < data.length; i++) data[i]! += delta[i]!;
    return data;
  };
  // A tied head that the adapter changes is a weight of its own from now on.
  const untied = Object.keys(architecture.aliases).filter(
    (alias) => replacements.has(alias) || mergeDelta(alias, (key) => tensors.get(KEY_PREFIX + key)!.data),
  );
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
