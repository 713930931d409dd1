import { Type } from 'typebox';
import { nullable, oneOf, optional, parsedElsewhere } from './schema.ts';
import { UsageSchema } from './token-usage.ts';

/** Maximum `n` of a request: each choice costs a worker as much as a separate request. */
export const maxChoices = 8;

/** Parameters that both kinds of completion share. */
export const samplingProperties = {
  model: Type.String({
    minLength: 1,
    maxLength: 512,
    description: 'Id of a base model or name of a fine-tuned model (`ft:…`), see GET /v1/models.',
  }),
  ...optional({
    max_tokens: nullable(Type.Integer({ minimum: 1, maximum: 131_072 })),
    temperature: nullable(Type.Number({ minimum: 0, maximum: 2 }), {
      description:
        'Sampling temperature. 0: greedy decoding. Default: the value from `generation_config`, otherwise 1.',
    }),
    top_p: nullable(Type.Number({ exclusiveMinimum: 0, maximum: 1 }), {
      description:
        'Nucleus sampling: sample from the most probable tokens whose probabilities add up to this value. Default: the value from `generation_config`, otherwise 1.',
    }),
    top_k: nullable(Type.Integer({ minimum: -1, maximum: 1_000_000 }), {
      description:
        'Number of most probable tokens to sample from. 0 or -1: all. Default: the value from `generation_config`, otherwise all.',
    }),
    min_p: nullable(Type.Number({ minimum: 0, maximum: 1 }), {
      description:
        'Minimum probability of a token, relative to that of the most probable token; less probable tokens are not sampled. Default: the value from `generation_config`, otherwise 0.',
    }),
    repetition_penalty: nullable(Type.Number({ minimum: 0.01, maximum: 100 }), {
      description:
        'Penalty for tokens that occur in the prompt or the output: above 1 they become less probable, below 1 more probable. Also affects greedy decoding. Default: the value from `generation_config`, otherwise 1.',
    }),
    generation_config: nullable(oneOf(['model', 'none']), {
      description:
        'Source of defaults for sampling parameters. `model`: the base model’s generation_config.json. `none`: OpenAI’s defaults. Default: the server’s `GRAFT_GENERATION_CONFIG`, which is `model` unless the operator changes it.',
    }),
    frequency_penalty: nullable(Type.Number({ minimum: -2, maximum: 2 }), {
      description:
        'Subtracted from the logit of a token of the output for each time that it occurs there. Default: 0.',
    }),
    presence_penalty: nullable(Type.Number({ minimum: -2, maximum: 2 }), {
      description: 'Subtracted from the logits of tokens that occur in the output. Default: 0.',
    }),
    logit_bias: nullable(
      Type.Record(
        Type.String({ pattern: '^(?:0|[1-9][0-9]{0,6})$' }),
        Type.Number({ minimum: -100, maximum: 100 }),
        { maxProperties: 1024, additionalProperties: false },
      ),
      {
        description:
          'Added to the logits of tokens, by the id of the token in the model’s tokenizer: -100 excludes a token, 100 makes it almost certain.',
      },
    ),
    stop: nullable(
      Type.Union([
        Type.String({ minLength: 1, maxLength: 256 }),
        Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 4 }),
      ]),
    ),
    seed: nullable(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
    n: nullable(Type.Integer({ minimum: 1, maximum: maxChoices }), {
      description: 'Number of choices to generate. Default: 1.',
    }),
    stream: nullable(Type.Boolean(), {
      description: 'Whether to stream the response as server-sent events. Default: false.',
    }),
    stream_options: nullable(
      Type.Object(
        { include_usage: Type.Optional(Type.Boolean()), include_obfuscation: Type.Optional(Type.Boolean()) },
        { additionalProperties: false },
      ),
    ),
    allow_special_tokens: nullable(Type.Boolean(), {
      description:
        'Whether special tokens such as <|im_end|> in the prompt, or in the content of messages, are read as special tokens. Default: false, which reads them as plain text so that content cannot imitate the turns of a chat.',
    }),
    user: nullable(Type.String({ description: 'Accepted and ignored.' })),
  }),
};

/** Parameters of OpenAI that Graft accepts only with a value without effect: one of these, null, or an empty value. */
export function unsupported<Parameters extends Record<string, readonly unknown[]>>(parameters: Parameters) {
  const schema = <Harmless>(harmless: readonly Harmless[]) =>
    Type.Optional(
      Type.Unsafe<Harmless | never[] | Record<string, never> | null>({
        enum: [...harmless, null, [], {}],
        [parsedElsewhere]: true,
        description: 'Not supported. Accepted only with a value that has no effect.',
      }),
    );
  return Object.fromEntries(
    Object.entries(parameters).map(([name, harmless]) => [name, schema(harmless)]),
  ) as { [Name in keyof Parameters]: ReturnType<typeof schema<Parameters[Name][number]>> };
}

export const FinishReason = oneOf(['stop', 'length']);
export const ChatFinishReason = oneOf(['stop', 'length', 'tool_calls']);

/** Fields of the chunks of a stream, of both kinds of completions. */
const untilTheEnd = { description: 'Null until the last chunk of a choice.' };
export const ChunkFinishReason = nullable(FinishReason, untilTheEnd);
export const ChatChunkFinishReason = nullable(ChatFinishReason, untilTheEnd);
export const ChunkUsage = Type.Optional(
  nullable(UsageSchema, {
    description:
      'Token usage of the request, in the last chunk. Requires `stream_options.include_usage`; null in the other chunks.',
  }),
);
