import type { GenerationRequest } from '@graft/service';
import type { samplingProperties } from '@graft/wire/sampling';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TObject } from 'typebox';
import type { ApiSettings } from '../settings.ts';
import { type ChunkFormat, hangUp, readWhole, streamAnswer, type WholeAnswer } from './answer.ts';
import type { demandsOf } from './answer-demands.ts';
import { generateChoices } from './choices.ts';
import type { findModel } from './find-model.ts';
import { meterAnswer } from './meter-answer.ts';
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
