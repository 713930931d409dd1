import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { randomText } from '@graft/service/ids';
import {
  CompletionChunkSchema,
  CompletionSchema,
  CreateCompletionSchema,
  unsupportedCompletionParameters,
} from '@graft/wire/completion';
import { ref } from '@graft/wire/schema';
import { unixSeconds } from '../answers/list.ts';
import type { ChunkFormat } from '../serving/answer.ts';
import { answerCompletion } from '../serving/answer-completion.ts';
import { findModel } from '../serving/find-model.ts';
import { completionLogprobs } from '../serving/logprobs.ts';
import { refuseUnsupported } from '../serving/sampling.ts';
import type { ApiSettings } from '../settings.ts';
import { operations } from './operation.ts';

const operation = operations('Completions');

/** OpenAI's default for this route. */
const defaultMaxTokens = 16;

/** /completions: continues a text with a base or fine-tuned model, on a worker. */
export const completionRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;

  app.post(
    '/completions',
    operation(
      {
        streams: ref(CompletionChunkSchema),
        access: { scope: 'completions:write', models: 'model', answer: 'own' },
      },
      'Create a completion',
      ref(CompletionSchema),
      {
        errors: [404, 502],
        description:
          'With `stream`, returns server-sent events with `text_completion` objects, ended by `data: [DONE]`.',
        body: ref(CreateCompletionSchema),
      },
    ),
    async (request, reply) => {
      const { body } = request;
      refuseUnsupported(body, unsupportedCompletionParameters);
      await app.checkBudget(request.caller.teamId);
      const model = await findModel(services, request, body.model);
      const prompt = typeof body.prompt === 'string' ? body.prompt : body.prompt[0]!;
      const head = {
        id: `cmpl-${randomText(24)}`,
        object: 'text_completion' as const,
        created: unixSeconds(new Date()),
        model: body.model,
      };
      return await answerCompletion(app, request, reply, settings, {
        body,
        model,
        prompt: { prompt },
        characters: prompt.length,
        maxTokens: body.max_tokens ?? defaultMaxTokens,
        logprobs: body.logprobs ?? null,
        head,
        choice: ({ text, likely, finishReason }, index) => ({
          index,
          text,
          logprobs: completionLogprobs(likely),
          finish_reason: finishReason === 'length' ? ('length' as const) : ('stop' as const),
        }),
        chunks: chunksOf(head),
      });
    },
  );
};

function chunksOf(head: object): ChunkFormat {
  /** Offset of the next token of each choice in its text. */
  const offsets: number[] = [];
  const choice = (
    index: number,
    text: string,
    finish_reason: string | null,
    logprobs: object | null = null,
  ) => ({ index, text, logprobs, finish_reason });
  return {
    head,
    opening: () => null,
    token({ text }, index, likely) {
      const offset = offsets[index] ?? 0;
      const logprobs = completionLogprobs(likely, offset);
      offsets[index] = (likely ?? []).reduce((end, { token }) => end + token.length, offset);
      return [choice(index, text, null, logprobs)];
    },
    closing: (finishReason, index) => choice(index, '', finishReason),
  };
}
