import { rehashWeights } from '@graft/peft-core/files';
import type { LocalBaseModel } from './catalogue.ts';

/** How weights are read that nobody waits for. */
const slowly = { olderThanMs: 7 * 24 * 3600 * 1000, bytesPerSecond: 16 * 2 ** 20 };

/** A failure that came later than this is kept for ten times as long as it took, and at most so long. Milliseconds. */
const quickMs = 20_000;
const longestKept = 5 * 60_000;

/** The models that this process has opened, each once. */
export class OpenedModels {
  readonly #opened = new Map<string, Promise<LocalBaseModel>>();

  /** The wait ends with the signal; the download goes on for whoever else waits for it. */
  async get(
    key: string,
    open: () => Promise<LocalBaseModel>,
    signal: AbortSignal | undefined,
  ): Promise<LocalBaseModel> {
    let model = this.#opened.get(key);
    if (!model) {
      const start = performance.now();
      const opening = open();
      model = opening;
      this.#opened.set(key, opening);
      // The next request tries again, but not at once where a try takes seconds: it would keep others waiting.
      opening.catch(() => {
        const keptMs = Math.min(longestKept, 10 * Math.max(0, performance.now() - start - quickMs));
        const forget = () => {
          if (this.#opened.get(key) === opening) this.#opened.delete(key);
        };
        if (keptMs === 0) forget();
        else setTimeout(forget, keptMs).unref();
      });
    }
    return await abortable(model, signal);
  }

  /** As BaseModelCatalogue's. */
  async scrub(signal?: AbortSignal): Promise<string[]> {
    const changed: string[] = [];
    for (const opening of this.#opened.values()) {
      const model = await opening.catch(() => null);
      if (!model) continue;
      const files = await rehashWeights(model.weightFiles, model.digestCache, {
        ...slowly,
        ...(signal ? { signal } : {}),
      });
      if (files.length > 0) changed.push(model.id);
    }
    return changed;
  }
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work;
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
