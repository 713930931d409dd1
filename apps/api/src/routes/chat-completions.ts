import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { lengthOfMessage } from '@graft/peft-core/chat';
import { templateKwargsFault } from '@graft/peft-core/config';
import type { CallPart } from '@graft/service/channel';
import { randomText } from '@graft/service/ids';
import {
  ChatCompletionChunkSchema,
  ChatCompletionSchema,
  CreateChatCompletionSchema,
  unsupportedChatParameters,
} from '@graft/wire/chat-completion';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { unixSeconds } from '../answers/list.ts';
import { ApiError } from '../api-error.ts';
import type { OptionChecker } from '../jobs/option-checker.ts';
import type { ChunkFormat, WholeAnswer } from '../serving/answer.ts';
import { answerCompletion } from '../serving/answer-completion.ts';
import { findModel } from '../serving/find-model.ts';
import { chatLogprobs } from '../serving/logprobs.ts';
import { readConversation } from '../serving/read-conversation.ts';
import { refuseUnsupported } from '../serving/sampling.ts';
import type { ApiSettings } from '../settings.ts';
import { operations } from './operation.ts';

const operation = operations('Completions');

/** /chat/completions: continues a conversation with a base or fine-tuned model, on a worker. */
export const chatCompletionRoutes: FastifyPluginAsyncTypebox<{
  settings: ApiSettings;
  checker: OptionChecker;
}> = async (app, { settings, checker }) => {
  const { services } = app;

  app.post(
    '/chat/completions',
    operation(
      {
        streams: ref(ChatCompletionChunkSchema),
        access: { scope: 'completions:write', models: 'model', answer: 'own' },
      },
      'Create a chat completion',
      ref(ChatCompletionSchema),
      {
        errors: [404, 502],
        description:
          'With `stream`, returns server-sent events with `chat.completion.chunk` objects, ended by `data: [DONE]`.',
        body: ref(CreateChatCompletionSchema),
      },
    ),
    async (request, reply) => {
      const { body } = request;
      refuseUnsupported(body, unsupportedChatParameters);
      const logprobs = logprobsOf(body);
      const kwargs = templateKwargsOf(body);
      const messages = readConversation(body.messages);
      const read = checker.demands(request.caller.teamId, body);
      const demands = read instanceof Promise ? await reply.withoutTurn(() => read) : read;
      await app.checkBudget(request.caller.teamId);
      const model = await findModel(services, request, body.model);
      const head = { id: `chatcmpl-${randomText(24)}`, created: unixSeconds(new Date()), model: body.model };
      return await answerCompletion(app, request, reply, settings, {
        body,
        model,
        prompt: { messages, ...kwargs, ...demands },
        characters: messages.reduce((sum, message) => sum + lengthOfMessage(message), lengthOf(demands)),
        maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
        logprobs,
        head: { ...head, object: 'chat.completion' as const },
        choice: ({ text, reasoning, calls, likely, finishReason }, index) => ({
          index,
          message: {
            role: 'assistant' as const,
            content: text === '' && calls.length > 0 ? null : text,
            refusal: null,
            ...(reasoning ? { reasoning_content: reasoning } : {}),
            ...(calls.length > 0 ? { tool_calls: calls.map(callOf) } : {}),
          },
          logprobs: chatLogprobs(likely),
          finish_reason: finishReason,
        }),
        chunks: chunksOf({ ...head, object: 'chat.completion.chunk' }),
      });
    },
  );
};

/** Number of most probable tokens to return per token; null: no probabilities. Throws if `top_logprobs` comes without `logprobs`. */
function logprobsOf({ logprobs, top_logprobs }: Static<typeof CreateChatCompletionSchema>): number | null {
  if (logprobs) return top_logprobs ?? 0;
  if (!top_logprobs) return null;
  throw new ApiError('invalid_value', "'top_logprobs' needs 'logprobs': true.", { param: 'top_logprobs' });
}

/** The template arguments in the worker's format; empty if there are none. Throws if the template does not accept them. */
function templateKwargsOf({ chat_template_kwargs: kwargs }: Static<typeof CreateChatCompletionSchema>) {
  if (!kwargs || Object.keys(kwargs).length === 0) return {};
  const fault = templateKwargsFault(kwargs);
  if (fault === null) return { chat_template_kwargs: kwargs };
  throw new ApiError('invalid_value', `'chat_template_kwargs' ${fault}.`, { param: 'chat_template_kwargs' });
}

const lengthOf = (value: object): number => JSON.stringify(value).length;

function callOf({ id, ...called }: WholeAnswer['choices'][number]['calls'][number]) {
  return { id, type: 'function' as const, function: called };
}

/** A part of a call as in OpenAI's streams. */
function partOf({ index, id, name, arguments: text }: CallPart): object {
  if (id === undefined) return { index, function: { arguments: text } };
  return { index, id, type: 'function', function: { name, arguments: text } };
}

function chunksOf(head: object): ChunkFormat {
  const choice = (
    index: number,
    delta: object,
    finish_reason: string | null,
    logprobs: object | null = null,
  ) => ({ index, delta, logprobs, finish_reason });
  return {
    head,
    opening: (index) => choice(index, { role: 'assistant', content: '', refusal: null }, null),
    token({ text, reasoning, calls }, index, likely) {
      const deltas: object[] = [];
      if (reasoning !== '') deltas.push({ reasoning_content: reasoning });
      if (text !== '') deltas.push({ content: text });
      for (const part of calls) deltas.push({ tool_calls: [partOf(part)] });
      if (deltas.length === 0) deltas.push({ content: '' });
      return deltas.map((delta, i) => choice(index, delta, null, i === 0 ? chatLogprobs(likely) : null));
    },
    closing: (finishReason, index) => choice(index, {}, finishReason),
  };
}
