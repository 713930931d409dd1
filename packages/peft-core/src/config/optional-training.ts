import { Type } from 'typebox';
import { mixStrategies } from '../lists.ts';
import { objectiveOptions } from '../objectives/objectives.ts';

const shape = (description: string) =>
  Type.Optional(Type.Enum(['linear', 'cosine', '1-sqrt'], { type: 'string', description }));

/** `lr_scheduler_kwargs` of transformers' TrainingArguments, limited to the options of the schedules that Graft implements. */
export const SchedulerKwargsSchema = Type.Object(
  {
    min_lr: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'For cosine_with_min_lr: the final learning rate.',
      }),
    ),
    min_lr_rate: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'For cosine_with_min_lr, instead of min_lr: the final learning rate as a share of learning_rate.',
      }),
    ),
    min_lr_ratio: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'For warmup_stable_decay: the first and final learning rate as a share of learning_rate. Default 0.',
      }),
    ),
    num_stable_steps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10_000_000,
        description:
          'For warmup_stable_decay: number of steps at the full rate. Automatic: those that warmup and decay leave.',
      }),
    ),
    num_decay_steps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10_000_000,
        description:
          'For warmup_stable_decay: number of steps of the decay. Automatic: a tenth of all steps.',
      }),
    ),
    warmup_type: shape('For warmup_stable_decay: shape of the warmup. Default linear.'),
    decay_type: shape('For warmup_stable_decay: shape of the decay. Default cosine.'),
    num_cycles: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1000,
        description: 'Number of periods of the cosine, in either schedule. Default 0.5: it falls once.',
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
        'Options of the schedule, with the names of transformers. cosine_with_min_lr: min_lr or min_lr_rate, num_cycles. warmup_stable_decay: num_decay_steps, num_stable_steps, min_lr_ratio, warmup_type, decay_type, num_cycles.',
    }),
  ),
  loraplus_lr_ratio: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1000,
      description:
        'Ratio of Hayou et al. 2024 (arXiv:2402.12354): the factor B of each update, and parameters with one dimension, use learning_rate times this ratio. Usually 2 to 16, with a smaller learning_rate. Default: off.',
    }),
  ),
  loraplus_lr_embedding: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description: 'With loraplus_lr_ratio: peak learning rate of the updates of embeddings. Default 1e-6.',
    }),
  ),
  label_smoothing_factor: Type.Optional(
    Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      description:
        'Share of each target that is distributed evenly over all tokens of the vocabulary, or all classes. Applies to the training loss only, so validation losses stay comparable. Default 0.',
    }),
  ),
  neftune_noise_alpha: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1000,
      description:
        'NEFTune (arXiv:2310.05914): in training, adds uniform noise between ± alpha / √(tokens of the sequence × width) to the embeddings. Usually 5 to 15. Default 0: no noise.',
    }),
  ),
  ema_decay: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      exclusiveMaximum: 1,
      description:
        'Decay of an exponential moving average of the adapter, which is evaluated and published instead of the last step. Usually 0.9 to 0.999, larger for longer jobs. Default: off.',
    }),
  ),
  mix_strategy: Type.Optional(
    Type.Enum([...mixStrategies], {
      type: 'string',
      description:
        'How several training files are mixed. concat, the default: each epoch has every file `epochs` times. interleave_under and interleave_over: each epoch has the files in proportion to their weights, until the first file (under) or every file (over) has been seen completely.',
    }),
  ),
  ...objectiveOptions,
};

export const trainingShorthands = {
  min_lr_rate: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description:
        'Final learning rate as a share of its peak, instead of zero. Turns cosine into cosine_with_min_lr with this value in lr_scheduler_kwargs.',
    }),
  ),
  min_lr: Type.Optional(
    Type.Number({ minimum: 0, maximum: 1, description: 'Final learning rate, instead of min_lr_rate.' }),
  ),
};
