import { Type } from 'typebox';

import { nullable, parsedElsewhere } from './schema.ts';

/** Maximum `n` of a request: each choice costs a worker as much as a separate request. */
export const maxChoices = 8;

/** Parameters that both kinds of completion share. */
export const samplingProperties = {
  model: Type.String({
    minLength: 1,
    maxLength: 512,
    description: 'A base model or a fine-tuned model (`ft:…`), see GET /v1/models.',
  }),
  max_tokens: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 131_072 }))),
  temperature: Type.Optional(
    nullable(Type.Number({ minimum: 0, maximum: 2 }), {
      description: '0 is greedy. Default: what `generation_config` decides, else 1.',
    }),
  ),
  top_p: Type.Optional(
    nullable(Type.Number({ exclusiveMinimum: 0, maximum: 1 }), {
      description: 'Default: what `generation_config` decides, else 1.',
    }),
  ),
  top_k: Type.Optional(
    nullable(Type.Integer({ minimum: -1, maximum: 1_000_000 }), {
      description:
        'Samples from this many of the most probable tokens; 0 and -1: all. Default: as in `generation_config`, otherwise all.',
    }),
  ),
  min_p: Type.Optional(
    nullable(Type.Number({ minimum: 0, maximum: 1 }), {
      description:
        "Tokens of less than this share of the most probable one's probability are left out. Default: what `generation_config` decides, else 0.",
    }),
  ),
  repetition_penalty: Type.Optional(
    nullable(Type.Number({ minimum: 0.01, maximum: 100 }), {
      description:
        'Above 1, tokens that are in the prompt or the answer are less probable, below 1 more; greedy answers too. Default: what `generation_config` decides, else 1.',
    }),
  ),
  generation_config: Type.Optional(
    nullable(Type.Enum(['model', 'none'], { type: 'string' }), {
      description:
        "What decides sampling parameters that the request does not have: the base model's generation_config.json, or nothing but OpenAI's defaults. Default: the server's `GRAFT_GENERATION_CONFIG`, which is `model` unless the operator has set it.",
    }),
  ),
  stop: Type.Optional(
    nullable(
      Type.Union([
        Type.String({ minLength: 1, maxLength: 256 }),
        Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 4 }),
      ]),
    ),
  ),
  seed: Type.Optional(nullable(Type.Integer({ minimum: 0, maximum: 2_147_483_647 }))),
  n: Type.Optional(
    nullable(Type.Integer({ minimum: 1, maximum: maxChoices }), { description: 'Answers. Default 1.' }),
  ),
  stream: Type.Optional(nullable(Type.Boolean(), { description: 'Answer with server-sent events.' })),
  stream_options: Type.Optional(
    nullable(
      Type.Object(
        { include_usage: Type.Optional(Type.Boolean()), include_obfuscation: Type.Optional(Type.Boolean()) },
        { additionalProperties: false },
      ),
    ),
  ),
  allow_special_tokens: Type.Optional(
    nullable(Type.Boolean(), {
      description:
        'Special tokens such as <|im_end|> in the prompt, or in the content of messages, are tokens. Default false: they are plain text, so that no content can forge a turn.',
    }),
  ),
  user: Type.Optional(nullable(Type.String({ description: 'Accepted and not used.' }))),
};

/** Parameters of OpenAI that Graft accepts only with a value without effect: one of these, null, or an empty value. */
export function unsupported<Name extends string>(parameters: Record<Name, readonly unknown[]>) {
  const schema = (harmless: readonly unknown[]) =>
    Type.Optional(
      Type.Unsafe<unknown>({
        enum: [...harmless, null, [], {}],
        [parsedElsewhere]: true,
        description: 'Not available; accepted only at a value that changes nothing.',
      }),
    );
  return Object.fromEntries(
    Object.entries<readonly unknown[]>(parameters).map(([name, harmless]) => [name, schema(harmless)]),
  ) as Record<Name, ReturnType<typeof schema>>;
}

export const FinishReason = Type.Enum(['stop', 'length'], { type: 'string' });
