import { type GenerationEvent, type GenerationRequest, startReading } from '@graft/service/channel';
import { GenerationError, generate } from '@graft/service/generation';
import type { Services } from '@graft/service/services';
import { pickWorker } from '@graft/service/workers';
import type { Usage } from '@graft/wire/token-usage';

/** An event of a choice, with its index; at the end the usage of all choices. */
export type ChoiceEvent = (GenerationEvent & { index: number }) | { type: 'usage'; usage: Usage };

const seeds = 2 ** 31;

/** Temporary errors: no worker can respond at the moment. */
const temporaryErrors = ['no_worker_available', 'worker_version_mismatch'];

/**
 * Generates `n` responses to one request, concurrently and on one worker if it has capacity, so that the prompt is processed once. A choice
 * without capacity waits until another one is done. With a seed, choice i equals a single response with that seed plus i. Resolves with the
 * first event; throws GenerationError as `generate` does, for the first choice that fails, and then aborts the others.
 */
export async function generateChoices(
  services: Pick<Services, 'sql' | 'db' | 'secrets' | 'log'>,
  request: GenerationRequest,
  n: number,
  options: { waitMs: number; signal: AbortSignal },
): Promise<AsyncGenerator<ChoiceEvent>> {
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const first = n > 1 ? await pickWorker(services, request.base_model) : null;
  const running = new RunningChoices(n, signal);

  async function* choice(index: number): AsyncGenerator<GenerationEvent & { index: number }, void> {
    const seed = request.seed === null ? null : (request.seed + index) % seeds;
    for (;;) {
      // Only the last choice waits for a free worker: if all of them polled, they would load the database.
      const waitMs = running.isLast ? options.waitMs : 0;
      let events: AsyncGenerator<GenerationEvent>;
      try {
        events = await generate(services, { ...request, seed }, { waitMs, signal, first });
      } catch (error) {
        const hasNoWorker = error instanceof GenerationError && temporaryErrors.includes(error.code);
        if (hasNoWorker && !signal.aborted && ((await running.waitForAnother()) || waitMs === 0)) continue;
        throw error;
      }
      for await (const event of events) yield { ...event, index };
      running.end();
      return;
    }
  }

  // Started here, since the reader of the response later runs without a team's context.
  const events = merged(
    Array.from({ length: n }, (_, index) => choice(index)),
    () => ending.abort(),
  );
  return await startReading(withUsage(events));
}

/** Tracks which choices are running, so that a choice without a worker knows whether to wait for another choice. */
class RunningChoices {
  #count: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number, signal: AbortSignal) {
    this.#count = count;
    signal.addEventListener('abort', () => this.#resume(), { once: true });
  }

  get isLast(): boolean {
    return this.#count === 1;
  }

  /** True when another choice is done, or all must end; false if no other choice is running. */
  async waitForAnother(): Promise<boolean> {
    if (this.isLast) return false;
    this.#count--;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return true;
  }

  end(): void {
    this.#count--;
    this.#resume();
  }

  #resume(): void {
    this.#count += this.#waiting.size;
    for (const resume of this.#waiting) resume();
    this.#waiting.clear();
  }
}

async function* withUsage(
  events: AsyncGenerator<GenerationEvent & { index: number }>,
): AsyncGenerator<ChoiceEvent> {
  const usage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  let cached: number | null = null;
  for await (const event of events) {
    yield event;
    if (event.type === 'token') continue;
    // The prompt counts once, as with OpenAI.
    usage.prompt_tokens = event.usage.prompt_tokens;
    usage.completion_tokens += event.usage.completion_tokens;
    // Tokens cached by another choice of the same request do not count as cached.
    const found = event.usage.prompt_tokens_details?.cached_tokens;
    if (found !== undefined) cached = Math.min(cached ?? found, found);
  }
  usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
  if (cached !== null) usage.prompt_tokens_details = { cached_tokens: cached };
  yield { type: 'usage', usage };
}

/**
 * Yields the items of all `sources` as they arrive, with ready sources in turn. All sources start at once, before the first read. When a
 * source throws or the reader stops, `end` must make the others end.
 */
function merged<T>(sources: readonly AsyncGenerator<T, void>[], end: () => void): AsyncGenerator<T, void> {
  const next = async (source: AsyncGenerator<T, void>) => ({ source, result: await source.next() });
  const pending = new Map(sources.map((source) => [source, next(source)]));
  // Avoids unhandled rejections if the reader stops before the first read.
  for (const each of pending.values()) each.catch(() => {});
  return (async function* () {
    try {
      while (pending.size > 0) {
        const { source, result } = await Promise.race(pending.values());
        // Moves the source behind the others.
        pending.delete(source);
        if (result.done) continue;
        yield result.value;
        pending.set(source, next(source));
      }
    } finally {
      end();
      await Promise.allSettled(sources.map((source) => source.return()));
    }
  })();
}
