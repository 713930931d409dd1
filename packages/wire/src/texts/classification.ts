import { Type } from 'typebox';
import { maxInputs } from '../lists.ts';
import { named, namedInput, nullable, optional, Time } from '../schema.ts';
import { TextsUsage } from './texts-usage.ts';

const Text = Type.String({ minLength: 1 });
const Words = Type.Array(Text, { minItems: 1 });

export const CreateClassificationSchema = namedInput('CreateClassification', {
  model: Type.String({
    description: 'Adapter that was trained with the task SEQ_CLS or TOKEN_CLS, or a model with such a head.',
  }),
  input: Type.Union(
    [
      Text,
      Type.Array(Text, { minItems: 1, maxItems: maxInputs }),
      Type.Array(Words, { minItems: 1, maxItems: maxInputs }),
    ],
    {
      description: `One text or up to ${maxInputs}. For a classifier of words also lists of words; a text is divided into words and punctuation.`,
    },
  ),
  user: Type.Optional(nullable(Type.String(), { description: 'Ignored.' })),
});

const probability = Type.Number({ minimum: 0, maximum: 1 });
const Offset = nullable(Type.Integer(), {
  description: 'Offset in the text, in characters (Unicode code points). Null for lists of words.',
});

export const ClassificationListSchema = named('ClassificationList', {
  id: Type.String(),
  object: Type.Literal('list'),
  created: Time,
  model: Type.String(),
  classes: Type.Array(Type.String(), { description: 'Names of the classes, in the order of `probs`.' }),
  data: Type.Array(
    Type.Object({
      index: Type.Integer({ description: 'Index of the input.' }),
      num_classes: Type.Integer(),
      ...optional({
        label: Type.String({ description: 'The most probable class of the text.' }),
        probs: Type.Array(probability, {
          description: 'Probability of each class. They sum to 1, unless a text may have several classes.',
        }),
        labels: Type.Array(Type.String(), {
          description:
            'Every class with a probability of at least 0.5. Only for classifiers whose texts may have several.',
        }),
        words: Type.Array(
          Type.Object({
            word: Type.String(),
            label: nullable(Type.String(), {
              description: 'Its most probable class. Null for a word without tokens.',
            }),
            prob: nullable(probability),
            start: Offset,
            end: Offset,
          }),
          { description: 'The words of the text. Only for classifiers of words.' },
        ),
        entities: Type.Array(
          Type.Object({
            label: Type.String({ description: 'Its class without `B-` and `I-`.' }),
            text: Type.String(),
            prob: Type.Number({ description: 'Mean of its words.' }),
            start: Offset,
            end: Offset,
            first_word: Type.Integer({ description: 'Index of its first word in `words`.' }),
            last_word: Type.Integer(),
          }),
          {
            description:
              'Successive words of one class, without words of the class `O`; `B-` starts another. Only for classifiers of words.',
          },
        ),
      }),
    }),
    { description: 'In the order of the inputs.' },
  ),
  usage: TextsUsage,
});
