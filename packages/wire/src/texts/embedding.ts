import { Type } from 'typebox';
import { maxInputs } from '../lists.ts';
import { named, namedInput, nullable, optional } from '../schema.ts';
import { TextsUsage } from './texts-usage.ts';

/** Largest token id that any vocabulary could have. */
const largestId = 2 ** 31 - 1;
const Text = Type.String({ minLength: 1 });
const Ids = Type.Array(Type.Integer({ minimum: 0, maximum: largestId }), { minItems: 1 });

export const CreateEmbeddingSchema = namedInput('CreateEmbedding', {
  model: Type.String({
    description: 'Sentence model, or adapter that was trained with the task FEATURE_EXTRACTION.',
  }),
  input: Type.Union(
    [
      Text,
      Type.Array(Text, { minItems: 1, maxItems: maxInputs }),
      Ids,
      Type.Array(Ids, { minItems: 1, maxItems: maxInputs }),
    ],
    {
      description: `One text or up to ${maxInputs}, or their token ids. A text that is longer than the model reads is an error, which names it.`,
    },
  ),
  ...optional({
    encoding_format: nullable(Type.Enum(['float', 'base64']), {
      default: 'float',
      description: '`base64`: float32 numbers, little-endian.',
    }),
    dimensions: nullable(Type.Integer({ minimum: 1, maximum: 65_536 }), {
      description:
        'Keep only the first numbers of each vector, as many as this, and divide them by their length. Useful for models trained for it (Matryoshka).',
    }),
    prompt_name: nullable(Type.String({ maxLength: 200 }), {
      description:
        "Name of the model's prompt that is put before each text, such as `query` or `document`, as in sentence-transformers; the empty name is none. Default: the model's `default_prompt_name`, or none. Token ids have no prompt.",
    }),
    user: nullable(Type.String(), { description: 'Ignored.' }),
  }),
});

export const EmbeddingListSchema = named('EmbeddingList', {
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      object: Type.Literal('embedding'),
      index: Type.Integer({ description: 'Index of the input.' }),
      embedding: Type.Union([Type.Array(Type.Number()), Type.String()], {
        description: 'The vector: numbers, or base64.',
      }),
    }),
    { description: 'In the order of the inputs.' },
  ),
  model: Type.String(),
  usage: TextsUsage,
});
