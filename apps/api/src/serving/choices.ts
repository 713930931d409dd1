import {
  GenerationError,
  type GenerationEvent,
  type GenerationRequest,
  generate,
  pickWorker,
  type Services,
  startReading,
  type Usage,
} from '@graft/service';
import { merged } from './merged.ts';

/** What is said of a choice, by its index; and at the end what all of them took. */
export type ChoiceEvent = (GenerationEvent & { index: number }) | { type: 'usage'; usage: Usage };

const seeds = 2 ** 31;

/** Of a moment without a worker that answers. */
const mayPass = ['no_worker_available', 'worker_version_mismatch'];

/**
 * `n` answers to one request, all at once and on one worker where it has room for them, so that the prompt is read there once. A choice
 * that finds no room waits until another of them is done. With a seed the choice of index i is what that seed plus i gives alone. Resolves
 * once the first event is there; throws GenerationError as `generate` does, for the first choice that fails, and then ends the others.
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
  const room = new Room(n, signal);

  async function* choice(index: number): AsyncGenerator<GenerationEvent & { index: number }, void> {
    const seed = request.seed === null ? null : (request.seed + index) % seeds;
    for (;;) {
      // One of them waits for a worker that is free: all of them asking again and again would be a burden of its own.
      const waitMs = room.isLast ? options.waitMs : 0;
      let events: AsyncGenerator<GenerationEvent>;
      try {
        events = await generate(services, { ...request, seed }, { waitMs, signal, first });
      } catch (error) {
        const hasNoWorker = error instanceof GenerationError && mayPass.includes(error.code);
        if (hasNoWorker && !signal.aborted && ((await room.afterAnother()) || waitMs === 0)) continue;
        throw error;
      }
      for await (const event of events) yield { ...event, index };
      room.leave();
      return;
    }
  }

  // Asked for here and now: what reads the answer runs for nobody's team.
  const events = merged(
    Array.from({ length: n }, (_, index) => choice(index)),
    () => ending.abort(),
  );
  return await startReading(withUsage(events));
}

/** Who of the choices is answered or asks for it, so that one that finds no room knows whether to wait for another's. */
class Room {
  #inside: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number, signal: AbortSignal) {
    this.#inside = count;
    signal.addEventListener('abort', () => this.#admit(), { once: true });
  }

  get isLast(): boolean {
    return this.#inside === 1;
  }

  /** True once another choice is done, or all of them are to end; false where no other is under way. */
  async afterAnother(): Promise<boolean> {
    if (this.isLast) return false;
    this.#inside--;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return true;
  }

  leave(): void {
    this.#inside--;
    this.#admit();
  }

  #admit(): void {
    this.#inside += this.#waiting.size;
    for (const enter of this.#waiting) enter();
    this.#waiting.clear();
  }
}

/** The same events, and what they took in all. */
async function* withUsage(
  events: AsyncGenerator<GenerationEvent & { index: number }>,
): AsyncGenerator<ChoiceEvent> {
  const usage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  let cached: number | null = null;
  for await (const event of events) {
    yield event;
    if (event.type === 'token') continue;
    // The prompt counts once, as in OpenAI's answers.
    usage.prompt_tokens = event.usage.prompt_tokens;
    usage.completion_tokens += event.usage.completion_tokens;
    // What one choice finds of another is not what the caller had sent before.
    const found = event.usage.prompt_tokens_details?.cached_tokens;
    if (found !== undefined) cached = Math.min(cached ?? found, found);
  }
  usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
  if (cached !== null) usage.prompt_tokens_details = { cached_tokens: cached };
  yield { type: 'usage', usage };
}
