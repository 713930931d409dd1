import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { randomText } from '@graft/service';
import {
  ChatCompletionChunkSchema,
  ChatCompletionSchema,
  CreateChatCompletionSchema,
  unsupportedChatParameters,
} from '../schemas/chat-completion.ts';
import { errorResponses } from '../schemas/error.ts';
import { ref, unixSeconds } from '../schemas/schema.ts';
import { type ChunkFormat, hangUp, readWhole, streamAnswer } from '../serving/answer.ts';
import { generateChoices } from '../serving/choices.ts';
import { findModel } from '../serving/find-model.ts';
import { refuseUnsupported, samplingOf } from '../serving/sampling.ts';
import type { ApiSettings } from '../settings.ts';
import { meterAnswer } from '../usage/meter-answer.ts';

/** /chat/completions: a conversation continued by a base or fine-tuned model, on a worker. */
export const chatCompletionRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;

  app.post(
    '/chat/completions',
    {
      config: { streams: ref(ChatCompletionChunkSchema), access: { scope: 'completions:write' } },
      schema: {
        tags: ['Completions'],
        summary: 'Continue a conversation',
        description: 'With `stream`, server-sent events of `chat.completion.chunk`, ended by `data: [DONE]`.',
        body: ref(CreateChatCompletionSchema),
        response: { 200: ref(ChatCompletionSchema), ...errorResponses(400, 401, 403, 404, 429, 502, 503) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      refuseUnsupported(body, unsupportedChatParameters);
      await app.checkBudget(request.caller.teamId);
      const { name, ...model } = await findModel(services, request.caller, body.model);
      const messages = body.messages.map(({ role, content }) => ({
        // The templates of open models know only the older name, `system`.
        role: role === 'developer' ? 'system' : role,
        content: typeof content === 'string' ? content : content.map((part) => part.text).join(''),
      }));
      const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? null;
      reply.hold('completions');
      reply.endTurn();
      const choices = await generateChoices(
        services,
        { ...model, messages, ...samplingOf(body, maxTokens) },
        body.n ?? 1,
        { waitMs: settings.workerWaitMs, signal: hangUp(reply) },
      );
      const head = {
        id: `chatcmpl-${randomText(24)}`,
        created: unixSeconds(new Date()),
        model: body.model,
      };
      const events = meterAnswer(
        services,
        { id: head.id, caller: request.caller, model: name, baseModel: model.base_model },
        choices,
      );
      if (body.stream) {
        const includeUsage = body.stream_options?.include_usage === true;
        return streamAnswer(request, reply, events, chunksOf(head, includeUsage), includeUsage);
      }
      const answer = await readWhole(events);
      return {
        ...head,
        object: 'chat.completion' as const,
        choices: answer.choices.map(({ text, finishReason }, index) => ({
          index,
          message: { role: 'assistant' as const, content: text, refusal: null },
          logprobs: null,
          finish_reason: finishReason,
        })),
        usage: answer.usage,
      };
    },
  );
};

function chunksOf(head: object, includeUsage: boolean): ChunkFormat {
  const chunk = (index: number, delta: object, finish_reason: string | null) => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index, delta, logprobs: null, finish_reason }],
    ...(includeUsage ? { usage: null } : {}),
  });
  return {
    opening: (index) => chunk(index, { role: 'assistant', content: '', refusal: null }, null),
    token: (content, index) => chunk(index, { content }, null),
    closing: (finishReason, index) => chunk(index, {}, finishReason),
    usage: (usage) => ({ ...head, object: 'chat.completion.chunk', choices: [], usage }),
  };
}
