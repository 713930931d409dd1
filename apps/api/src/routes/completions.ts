import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { randomText } from '@graft/service';
import {
  CompletionChunkSchema,
  CompletionSchema,
  CreateCompletionSchema,
  unsupportedCompletionParameters,
} from '../schemas/completion.ts';
import { errorResponses } from '../schemas/error.ts';
import { ref, unixSeconds } from '../schemas/schema.ts';
import { type ChunkFormat, hangUp, readWhole, streamAnswer } from '../serving/answer.ts';
import { generateChoices } from '../serving/choices.ts';
import { findModel } from '../serving/find-model.ts';
import { completionLogprobs } from '../serving/logprobs.ts';
import { refuseUnsupported, samplingOf } from '../serving/sampling.ts';
import type { ApiSettings } from '../settings.ts';
import { meterAnswer } from '../usage/meter-answer.ts';

/** OpenAI's default for this route. */
const defaultMaxTokens = 16;

/** /completions: a text continued by a base or fine-tuned model, on a worker. */
export const completionRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;

  app.post(
    '/completions',
    {
      config: {
        streams: ref(CompletionChunkSchema),
        access: { scope: 'completions:write', models: 'model', answer: 'own' },
      },
      schema: {
        tags: ['Completions'],
        summary: 'Continue a text',
        description: 'With `stream`, server-sent events of `text_completion`, ended by `data: [DONE]`.',
        body: ref(CreateCompletionSchema),
        response: { 200: ref(CompletionSchema), ...errorResponses(400, 401, 403, 404, 429, 502, 503) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      refuseUnsupported(body, unsupportedCompletionParameters);
      await app.checkBudget(request.caller.teamId);
      const { name, ...model } = await findModel(services, request.caller, body.model);
      const logprobs = body.logprobs ?? null;
      const prompt = typeof body.prompt === 'string' ? body.prompt : body.prompt[0]!;
      reply.hold('completions');
      reply.endTurn();
      const signal = hangUp(reply);
      const head = {
        id: `cmpl-${randomText(24)}`,
        object: 'text_completion' as const,
        created: unixSeconds(new Date()),
        model: body.model,
      };
      const events = await meterAnswer(
        services,
        { id: head.id, caller: request.caller, model: name, baseModel: model.base_model },
        app.askWorkers({ teamId: request.caller.teamId, characters: prompt.length, signal }, () =>
          generateChoices(
            services,
            {
              ...model,
              prompt,
              ...samplingOf(body, body.max_tokens ?? defaultMaxTokens, logprobs, settings),
            },
            body.n ?? 1,
            { waitMs: settings.workerWaitMs, signal },
          ),
        ),
      );
      if (body.stream) {
        const includeUsage = body.stream_options?.include_usage === true;
        return streamAnswer(request, reply, events, chunksOf(head, includeUsage), includeUsage);
      }
      const answer = await readWhole(events, logprobs !== null);
      return {
        ...head,
        choices: answer.choices.map(({ text, likely, finishReason }, index) => ({
          index,
          text,
          logprobs: completionLogprobs(likely),
          finish_reason: finishReason,
        })),
        usage: answer.usage,
      };
    },
  );
};

function chunksOf(head: object, includeUsage: boolean): ChunkFormat {
  /** Where the next token of each choice begins. */
  const offsets: number[] = [];
  const chunk = (
    index: number,
    text: string,
    finish_reason: string | null,
    logprobs: object | null = null,
  ) => ({
    ...head,
    choices: [{ index, text, logprobs, finish_reason }],
    ...(includeUsage ? { usage: null } : {}),
  });
  return {
    opening: () => null,
    token(text, index, likely) {
      const offset = offsets[index] ?? 0;
      const logprobs = completionLogprobs(likely, offset);
      offsets[index] = (likely ?? []).reduce((end, { token }) => end + token.length, offset);
      return chunk(index, text, null, logprobs);
    },
    closing: (finishReason, index) => chunk(index, '', finishReason),
    usage: (usage) => ({ ...head, choices: [], usage }),
  };
}
