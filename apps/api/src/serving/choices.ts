import {
  type GenerationEvent,
  type GenerationRequest,
  generate,
  type Services,
  type Usage,
} from '@graft/service';

/** Answers that one request may ask for: each costs a worker what a request of its own would. */
export const mostChoices = 8;

/** What is said of a choice, by its index; and at the end what all of them took. */
export type ChoiceEvent = (GenerationEvent & { index: number }) | { type: 'usage'; usage: Usage };

const seeds = 2 ** 31;

/**
 * `n` answers to one request, one after the other, so that a caller has one worker at a time. With a seed the choice of index i
 * is what that seed plus i gives alone. Resolves once the first event is there; throws GenerationError as `generate` does.
 */
export async function generateChoices(
  services: Pick<Services, 'sql' | 'db' | 'secrets' | 'log'>,
  request: GenerationRequest,
  n: number,
  options: { waitMs: number; signal: AbortSignal },
): Promise<AsyncGenerator<ChoiceEvent>> {
  const choice = (index: number) =>
    generate(
      services,
      { ...request, seed: request.seed === null ? null : (request.seed + index) % seeds },
      options,
    );
  const first = await choice(0);
  return (async function* () {
    const usage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    for (let index = 0; index < n; index++) {
      for await (const event of index === 0 ? first : await choice(index)) {
        yield { ...event, index };
        if (event.type === 'token') continue;
        // The prompt counts once, as in OpenAI's answers.
        usage.prompt_tokens = event.usage.prompt_tokens;
        usage.completion_tokens += event.usage.completion_tokens;
        // What choices after the first find again is not what the caller had sent before.
        if (index === 0 && event.usage.prompt_tokens_details)
          usage.prompt_tokens_details = event.usage.prompt_tokens_details;
      }
    }
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    yield { type: 'usage' as const, usage };
  })();
}
