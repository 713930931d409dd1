import { asTeam, enterCompletion, type Identity, type Services } from '@graft/service';
import type { ChoiceEvent } from '../serving/choices.ts';

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
 * worker or the end of this process's serving, what had come counts: of a choice under way that is what its last line said.
 */
export async function* meterAnswer(
  services: Pick<Services, 'sql' | 'log'>,
  { id, caller, model, baseModel }: Metered,
  events: AsyncGenerator<ChoiceEvent>,
): AsyncGenerator<ChoiceEvent, void> {
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
  try {
    for await (const event of events) {
      if (event.type === 'token') {
        // A worker of an earlier version says text alone: about a token.
        inputTokens = event.prompt_tokens ?? inputTokens;
        outputTokens[event.index] = event.completion_tokens ?? (outputTokens[event.index] ?? 0) + 1;
      } else {
        inputTokens = event.usage.prompt_tokens;
        if (event.type === 'done') outputTokens[event.index] = event.usage.completion_tokens;
        else await enter();
      }
      yield event;
    }
  } finally {
    const isCut = !isEntered && inputTokens + inAll() > 0;
    if (isCut)
      await enter().catch((error) => services.log.error({ err: error }, 'a completion was not metered'));
  }
}
