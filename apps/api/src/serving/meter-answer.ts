import { asTeam, enterCompletion, GenerationError, type Identity, type Services } from '@graft/service';
import type { ChoiceEvent } from './choices.ts';

/** The answer that is metered: its id, and who answers what for whom. */
interface Metered {
  id: string;
  caller: Identity;
  /** As the answer's adapter or base model is named. */
  model: string;
  baseModel: string;
}

/**
 * The same events; what they took stands in the ledger before the last of them is told. Of an answer that is cut off, by its client, its
 * worker or the end of this process's serving, what had come counts: of a choice under way that is what its last line said. Of one that is
 * refused for its prompt, what was read of that. Throws what `choices` rejects with.
 */
export async function meterAnswer(
  services: Pick<Services, 'sql' | 'log'>,
  { id, caller, model, baseModel }: Metered,
  choices: Promise<AsyncGenerator<ChoiceEvent>>,
): Promise<AsyncGenerator<ChoiceEvent, void>> {
  let inputTokens = 0;
  /** Of each choice. */
  const outputTokens: number[] = [];
  const inAll = () => outputTokens.reduce((sum, each) => sum + each, 0);
  let isEntered = false;
  const enter = async () => {
    isEntered = true;
    const use = { id, keyId: caller.keyId, model, baseModel, inputTokens, outputTokens: inAll() };
    // A stream is read by its client, for whom nobody has said anything.
    await asTeam(caller.teamId, async () => await enterCompletion(services, caller.teamId, use));
  };
  const count = (event: Exclude<ChoiceEvent, { type: 'usage' }>) => {
    const { index } = event;
    if (event.type === 'token') {
      // A worker of an earlier version sends text alone: about a token.
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
    // Other choices have the same prompt; what was written of the one that failed has come before.
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
