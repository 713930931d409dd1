import { rehashWeights } from '@graft/peft-core/files';
import { untilAborted } from '../until-aborted.ts';
import type { LocalBaseModel } from './catalogue.ts';

/** Age and rate at which weights are reread in the background. */
const slowly = { olderThanMs: 7 * 24 * 3600 * 1000, bytesPerSecond: 16 * 2 ** 20 };

/** A failure that took longer than `quickMs` is cached for ten times the excess, at most `longestKept`. Milliseconds. */
const quickMs = 20_000;
const longestKept = 5 * 60_000;

export class OpenedModels {
  readonly #opened = new Map<string, Promise<LocalBaseModel>>();

  /** Opens a model or joins its opening. The wait ends with the signal; the download continues for other callers. */
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
      // The next request retries. If a try takes long, the failure is cached, so that retries do not keep others waiting.
      opening.catch(() => {
        const keptMs = Math.min(longestKept, 10 * Math.max(0, performance.now() - start - quickMs));
        const forget = () => {
          if (this.#opened.get(key) === opening) this.#opened.delete(key);
        };
        if (keptMs === 0) forget();
        else setTimeout(forget, keptMs).unref();
      });
    }
    return await untilAborted(model, signal);
  }

  /** See `ConfiguredCatalogue.scrub`. */
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
