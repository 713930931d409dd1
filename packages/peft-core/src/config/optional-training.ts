import { Type } from 'typebox';
import { objectiveOptions } from '../objectives/objectives.ts';

const shape = (description: string) =>
  Type.Optional(Type.Enum(['linear', 'cosine', '1-sqrt'], { type: 'string', description }));

/** `lr_scheduler_kwargs` of transformers' TrainingArguments, limited to the options of the schedules that Graft implements. */
export const SchedulerKwargsSchema = Type.Object(
  {
    min_lr: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, description: 'Of cosine_with_min_lr: the rate of the end.' }),
    ),
    min_lr_rate: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'Of cosine_with_min_lr, instead of min_lr: the rate of the end as a share of learning_rate.',
      }),
    ),
    min_lr_ratio: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'Of warmup_stable_decay: the rate of its beginning and its end as a share of learning_rate. Default 0.',
      }),
    ),
    num_stable_steps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10_000_000,
        description: 'Of warmup_stable_decay. Automatic: what warmup and decay leave.',
      }),
    ),
    num_decay_steps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10_000_000,
        description: 'Of warmup_stable_decay. Automatic: a tenth of all steps.',
      }),
    ),
    warmup_type: shape('Of warmup_stable_decay: how the rate rises. Default linear.'),
    decay_type: shape('Of warmup_stable_decay: how the rate falls. Default cosine.'),
    num_cycles: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1000,
        description: 'Waves of the cosine of either schedule. Default 0.5: it falls once.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** Options that are absent from a resolved job where they are off, so that jobs of earlier versions remain unchanged. */
export const optionalTraining = {
  lr_scheduler_kwargs: Type.Optional(
    Type.Object(SchedulerKwargsSchema.properties, {
      additionalProperties: false,
      description:
        'More about the schedule, by the names of transformers. cosine_with_min_lr: min_lr or min_lr_rate, num_cycles. warmup_stable_decay: num_decay_steps, num_stable_steps, min_lr_ratio, warmup_type, decay_type, num_cycles.',
    }),
  ),
  loraplus_lr_ratio: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1000,
      description:
        'After Hayou et al. 2024 (arXiv:2402.12354): the second factor B of each update, and what has one axis, learn at learning_rate times this factor. Usually 2 to 16, with a smaller learning_rate. Default: off.',
    }),
  ),
  loraplus_lr_embedding: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description:
        'With loraplus_lr_ratio: the peak rate of updates of embeddings, instead of learning_rate. Default 1e-6.',
    }),
  ),
  label_smoothing_factor: Type.Optional(
    Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      description:
        'So much of each target is shared out evenly among all tokens of the vocabulary, or all classes. Of training alone: the validation loss stays comparable. Default 0.',
    }),
  ),
  neftune_noise_alpha: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1000,
      description:
        'NEFTune (arXiv:2310.05914): while training, embeddings get noise that is even between ± alpha / √(tokens of the sequence × width). Usually 5 to 15. Default 0: none.',
    }),
  ),
  ema_decay: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      exclusiveMaximum: 1,
      description:
        'What is measured and published is an average of the adapters of all steps, which keeps so much of itself at each step: 0.9 to 0.999, the more the longer the job. Default: off, the last step counts.',
    }),
  ),
  ...objectiveOptions,
};

/** Alternative spellings of options in a request. */
export const trainingShorthands = {
  min_lr_rate: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description:
        'The learning rate ends at this share of its peak instead of zero. A cosine is then cosine_with_min_lr with it in lr_scheduler_kwargs.',
    }),
  ),
  min_lr: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'The same as a rate, instead of min_lr_rate.',
    }),
  ),
};
