import { UsageSchema } from '@graft/service';
import { Type } from 'typebox';
import { FinishReason, samplingProperties, unsupported } from './sampling.ts';
import { named, namedInput, nullable, Time } from './schema.ts';

/** Each parameter with the values that have no effect. */
export const unsupportedCompletionParameters = {
  best_of: [1],
  echo: [false],
  frequency_penalty: [0],
  logit_bias: [],
  presence_penalty: [0],
  suffix: [''],
} as const;

export const CreateCompletionSchema = namedInput('CreateCompletion', {
  ...samplingProperties,
  prompt: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1, maxItems: 1 })], {
    description: 'One text.',
  }),
  logprobs: Type.Optional(
    nullable(Type.Integer({ minimum: 0, maximum: 5 }), {
      description:
        'Return the log probability of each token of the answer, and of this many of the most probable tokens at its position.',
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
  text_offset: Type.Array(Type.Integer(), { description: 'Where each token begins in the text.' }),
});
const choice = {
  index: Type.Integer(),
  text: Type.String(),
  logprobs: nullable(CompletionLogprobs, { description: 'Null unless requested.' }),
};

export const CompletionSchema = named('Completion', {
  ...head,
  choices: Type.Array(
    Type.Object({
      ...choice,
      finish_reason: FinishReason,
    }),
  ),
  usage: UsageSchema,
});

/** A chunk of a streamed response. */
export const CompletionChunkSchema = named('CompletionChunk', {
  ...head,
  choices: Type.Array(
    Type.Object({
      ...choice,
      finish_reason: nullable(FinishReason, { description: 'Null until the last piece of a choice.' }),
    }),
    { description: 'Empty in the chunk with the usage.' },
  ),
  usage: Type.Optional(nullable(UsageSchema, { description: 'With `stream_options.include_usage`.' })),
});
