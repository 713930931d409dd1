import { type Static, Type } from 'typebox';

/** Token counts, as in OpenAI's responses. */
export const UsageSchema = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Optional(
    Type.Object({
      cached_tokens: Type.Integer({
        description: 'Of the prompt: they were known from an earlier request, and were not computed again.',
      }),
    }),
  ),
});
export type Usage = Static<typeof UsageSchema>;
