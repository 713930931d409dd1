import type { GenerationRequest } from '@graft/service/channel';
import { withTeamScope } from '@graft/service/database';
import { GenerationError } from '@graft/service/generation';
import type { Identity } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import { recordCompletion } from '@graft/service/usage';
import type { samplingProperties } from '@graft/wire/sampling';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TObject } from 'typebox';
import type { demandsOf } from '../answer-demands.ts';
import type { ApiSettings } from '../settings.ts';
import { type ChunkFormat, hangUp, readWhole, streamAnswer, type WholeAnswer } from './answer.ts';
import { type ChoiceEvent, generateChoices } from './choices.ts';
import type { findModel } from './find-model.ts';
import { samplingOf } from './sampling.ts';

type Demands = ReturnType<typeof demandsOf>;

/** A validated completion request of either kind. */
interface Completion<Head, Choice> {
  body: Static<TObject<typeof samplingProperties>>;
  model: Awaited<ReturnType<typeof findModel>>;
  prompt:
    | { prompt: string }
    | (Pick<Extract<GenerationRequest, { messages: unknown }>, 'messages' | 'chat_template_kwargs'> &
        Demands);
  /** Length of the prompt. */
  characters: number;
  maxTokens: number | null;
  /** Number of most probable tokens returned per token; null: no probabilities. */
  logprobs: number | null;
  /** The fields of the response before `choices`. */
  head: Head;
  choice(answer: WholeAnswer['choices'][number], index: number): Choice;
  chunks: ChunkFormat;
}

/** Sends a completion request to a worker and responds, metered: at once, or with `stream` as server-sent events. */
export async function answerCompletion<Head extends { id: string }, Choice>(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  settings: ApiSettings,
  { body, model, prompt, characters, maxTokens, logprobs, head, choice, chunks }: Completion<Head, Choice>,
) {
  const { services } = app;
  const { caller } = request;
  const { name, ...weights } = model;
  reply.hold('completions');
  reply.endTurn();
  const signal = hangUp(reply);
  const separate_reasoning = 'messages' in prompt;
  const sampling = samplingOf(body, maxTokens, logprobs, settings);
  const generation = { ...weights, ...prompt, ...sampling, separate_reasoning };
  const events = await meterAnswer(
    services,
    { id: head.id, caller, model: name, baseModel: weights.base_model },
    app.askWorkers({ teamId: caller.teamId, characters, signal }, () =>
      generateChoices(services, generation, body.n ?? 1, { waitMs: settings.workerWaitMs, signal }),
    ),
  );
  if (body.stream)
    return streamAnswer(request, reply, events, chunks, body.stream_options?.include_usage === true);
  const { choices, usage } = await readWhole(events, logprobs !== null, (bytes) => reply.holdBytes(bytes));
  return { ...head, choices: choices.map(choice), usage };
}

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
async function meterAnswer(
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
