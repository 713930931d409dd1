import { GraftError } from '../errors.ts';
import { type TokenizerFiles, withChatTemplate } from '../text/index.ts';
import { createThread, ThreadTimeout } from '../threads/thread.ts';

/** Limit of processor time for all texts that exports render. Templates in use take a few milliseconds. */
const TRIAL_MILLISECONDS = 5_000;
/** Time limit for starting the thread and loading the tokenizer, and relative to the processor time that a trial may take. */
const LOAD_MILLISECONDS = 120_000;
const PATIENCE = 20;
const HEAP_MB = 1024;

/**
 * Renders what exports render with an adapter's own chat template, in a thread that can be ended: the template must not hold the place of
 * other exports. Throws `adapter_template_failed` if it exceeds the limits.
 */
export async function tryTemplate(
  files: TokenizerFiles,
  chatTemplate: string,
  { milliseconds = TRIAL_MILLISECONDS } = {},
): Promise<void> {
  const module = new URL('template-trial-thread.ts', import.meta.url);
  const thread = createThread<TokenizerFiles | null, boolean>(module, HEAP_MB);
  try {
    await thread.call(withChatTemplate(files, chatTemplate), { ms: LOAD_MILLISECONDS });
    await thread.call(null, { ms: PATIENCE * milliseconds, processorMs: milliseconds });
  } catch (cause) {
    const isFull = (cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
    if (!(cause instanceof ThreadTimeout) && !isFull) throw cause;
    const limit = isFull ? `${HEAP_MB} MiB of memory` : `${milliseconds / 1000} s of processor time`;
    const message = `the adapter's own chat template takes more than ${limit} for a short conversation; export another version, or train it with a simpler template`;
    throw new GraftError('adapter_template_failed', message, { param: 'version', cause });
  } finally {
    await thread.close();
  }
}
