import {
  GenerationError,
  type Identity,
  recordCompletion,
  type Services,
  withTeamScope,
} from '@graft/service';
import type { ChoiceEvent } from './choices.ts';

/** The response to meter: its id, the caller and the model. */
interface Metered {
  id: string;
  caller: Identity;
  /** Name of the adapter or base model. */
  model: string;
  baseModel: string;
}

/**
 * Passes events through, and records their usage in the ledger before the last event. A response that the client, the worker or a shutdown
 * of this process cuts off is recorded as far as it got: for an unfinished choice, the counts of its last event. A response refused for its
 * prompt is recorded with the tokens processed of that prompt. Throws what `choices` rejects with.
 */
export async function meterAnswer(
  services: Pick<Services, 'sql' | 'log'>,
  { id, caller, model, baseModel }: Metered,
  choices: Promise<AsyncGenerator<ChoiceEvent>>,
): Promise<AsyncGenerator<ChoiceEvent, void>> {
  let inputTokens = 0;
  /** By choice. */
  const outputTokens: number[] = [];
  const inAll = () => outputTokens.reduce((sum, each) => sum + each, 0);
  let isEntered = false;
  const enter = async () => {
    isEntered = true;
    const use = { id, keyId: caller.keyId, model, baseModel, inputTokens, outputTokens: inAll() };
    // A stream is read outside the team's context, so that is set again.
    await withTeamScope(caller.teamId, async () => await recordCompletion(services, caller.teamId, use));
  };
  const count = (event: Exclude<ChoiceEvent, { type: 'usage' }>) => {
    const { index } = event;
    if (event.type === 'token') {
      // A worker of an earlier version sends text without counts: about one token per event.
      inputTokens = event.prompt_tokens ?? inputTokens;
      outputTokens[index] = event.completion_tokens ?? (outputTokens[index] ?? 0) + 1;
    } else {
      inputTokens = event.usage.prompt_tokens;
      outputTokens[index] = event.usage.completion_tokens;
    }
  };
  const enterCut = async () => {
    if (isEntered || inputTokens + inAll() === 0) return;
    await enter().catch((error) => services.log.error({ err: error }, 'a completion was not metered'));
  };
  const countRefusal = (error: unknown) => {
    // All choices share the prompt; output tokens of the failed choice were counted before.
    if (error instanceof GenerationError) inputTokens = Math.max(inputTokens, error.used.promptTokens);
  };

  async function* metered(events: AsyncGenerator<ChoiceEvent>): AsyncGenerator<ChoiceEvent, void> {
    try {
      for await (const event of events) {
        if (event.type !== 'usage') count(event);
        else {
          inputTokens = event.usage.prompt_tokens;
          await enter();
        }
        yield event;
      }
    } catch (error) {
      countRefusal(error);
      throw error;
    } finally {
      await enterCut();
    }
  }

  try {
    return metered(await choices);
  } catch (error) {
    countRefusal(error);
    await enterCut();
    throw error;
  }
}
