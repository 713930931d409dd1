import { Type } from 'typebox';
import { ChunkFinishReason, ChunkUsage, FinishReason, samplingProperties, unsupported } from './sampling.ts';
import { named, namedInput, nullable, Time } from './schema.ts';
import { UsageSchema } from './token-usage.ts';

/** Each parameter with the values that have no effect. */
export const unsupportedCompletionParameters = { best_of: [1], echo: [false], suffix: [''] } as const;

export const CreateCompletionSchema = namedInput('CreateCompletion', {
  ...samplingProperties,
  prompt: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1, maxItems: 1 })], {
    description: 'Prompt to complete: one text.',
  }),
  logprobs: Type.Optional(
    nullable(Type.Integer({ minimum: 0, maximum: 5 }), {
      description:
        'Number of most probable tokens whose log probability to return for each output token, in addition to that of the token itself. Null or omitted: no log probabilities.',
    }),
  ),
  ...unsupported(unsupportedCompletionParameters),
});

/** Fields that a response and a chunk of a streamed one share. */
const head = {
  id: Type.String(),
  object: Type.Literal('text_completion'),
  created: Time,
  model: Type.String(),
};
const CompletionLogprobs = Type.Object({
  tokens: Type.Array(Type.String()),
  token_logprobs: Type.Array(Type.Number()),
  top_logprobs: Type.Array(Type.Record(Type.String(), Type.Number())),
  text_offset: Type.Array(Type.Integer(), { description: 'Offset in the text at which each token begins.' }),
});
const choice = {
  index: Type.Integer(),
  text: Type.String(),
  logprobs: nullable(CompletionLogprobs, {
    description: 'Log probabilities of the output tokens. Null unless requested.',
  }),
};

export const CompletionSchema = named('Completion', {
  ...head,
  choices: Type.Array(Type.Object({ ...choice, finish_reason: FinishReason })),
  usage: UsageSchema,
});

/** A chunk of a streamed response. */
export const CompletionChunkSchema = named('CompletionChunk', {
  ...head,
  choices: Type.Array(Type.Object({ ...choice, finish_reason: ChunkFinishReason }), {
    description: 'Empty in the chunk that contains `usage`.',
  }),
  usage: ChunkUsage,
});
