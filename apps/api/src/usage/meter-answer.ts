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
 * worker or the end of this process's serving, what had come counts: of the choice under way that is what its last line said.
 */
export async function* meterAnswer(
  services: Pick<Services, 'sql' | 'log'>,
  { id, caller, model, baseModel }: Metered,
  events: AsyncGenerator<ChoiceEvent>,
): AsyncGenerator<ChoiceEvent, void> {
  let inputTokens = 0;
  /** Of choices that are whole, and of the one under way. */
  let whole = 0;
  let underWay = 0;
  let isEntered = false;
  const enter = async () => {
    isEntered = true;
    const use = { id, keyId: caller.keyId, model, baseModel, inputTokens, outputTokens: whole + underWay };
    // A stream is read by its client, for whom nobody has said anything.
    await asTeam(caller.teamId, async () => await enterCompletion(services, caller.teamId, use));
  };
  try {
    for await (const event of events) {
      if (event.type === 'token') {
        // A worker of an earlier version says text alone: about a token.
        inputTokens = event.prompt_tokens ?? inputTokens;
        underWay = event.completion_tokens ?? underWay + 1;
      } else {
        inputTokens = event.usage.prompt_tokens;
        if (event.type === 'done') whole += event.usage.completion_tokens;
        underWay = 0;
        if (event.type === 'usage') await enter();
      }
      yield event;
    }
  } finally {
    const isCut = !isEntered && inputTokens + whole + underWay > 0;
    if (isCut)
      await enter().catch((error) => services.log.error({ err: error }, 'a completion was not metered'));
  }
}
