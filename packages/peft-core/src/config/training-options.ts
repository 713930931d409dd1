import { type Static, Type } from 'typebox';
import { bestMetrics, fullMetricName, SET_METRIC } from '../objectives/metrics.ts';
import { preferenceSchema } from '../objectives/objectives.ts';
import { beta } from '../objectives/preference/beta.ts';
import {
  checkFields,
  cut,
  type Fault,
  isRecord,
  MAX_FAULTS,
  show,
  throwFaults,
} from '../schema/check-fields.ts';
import { nearest } from '../schema/nearest.ts';
import { chatFaults, chatTraining } from './chat-training.ts';
import { dataFaults, dataTraining } from './data-training.ts';
import { optionalTraining, SchedulerKwargsSchema, trainingShorthands } from './optional-training.ts';

/** Maximum number of epochs in a request. */
const MAX_ASKED_EPOCHS = 50;
/** With `max_steps` the examples are repeated until it is reached, at most this many times. */
export const MAX_EPOCHS = 1000;

/** Training options of a job with every value resolved: shown as `training` of a job object, and followed by the trainer. */
export const ResolvedTrainingSchema = Type.Object(
  {
    n_epochs: Type.Integer({
      minimum: 1,
      maximum: MAX_EPOCHS,
      description:
        'Passes over the training examples; max_steps takes precedence. Automatic: 3; 2 above 5,000 examples, 1 above 20,000. Below 240 examples: up to 12 for models that do not generate text, up to 6 if answers are short.',
    }),
    batch_size: Type.Integer({
      minimum: 1,
      maximum: 256,
      description:
        'Examples per forward and backward pass. Automatic: 8, or 32 for contrastive training on pairs, or all examples if there are fewer, independent of gradient_accumulation_steps. The negatives of a pair are the other pairs of the batch.',
    }),
    mini_batch_size: Type.Union([Type.Integer({ minimum: 1, maximum: 256 }), Type.Null()], {
      description:
        'For pairs with FEATURE_EXTRACTION: number of examples of a batch that are embedded at a time, which takes less memory and more time. Loss and gradients are those of the whole batch (GradCache). Null: the whole batch. Automatic: null, unless training would need more memory than any live worker has.',
    }),
    gradient_accumulation_steps: Type.Integer({
      minimum: 1,
      maximum: 1024,
      description:
        'Passes per optimizer step. The effective batch is batch_size × gradient_accumulation_steps examples. Default 1.',
    }),
    learning_rate: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description: "Peak learning rate. Automatic: the method's default × learning_rate_multiplier.",
    }),
    learning_rate_if_known: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        description:
          'For jobs of dpo that leave learning_rate to Graft: the rate of this job if the reference pass, before the first step, finds that the base model gives the chosen answers already. `learning_rate` then changes to it. Absent where nothing is to be decided.',
      }),
    ),
    lr_scheduler_type: Type.Enum(
      ['constant', 'linear', 'cosine', 'cosine_with_min_lr', 'warmup_stable_decay'],
      {
        type: 'string',
        description:
          'Schedule of the learning rate after warmup: constant; to zero (linear, cosine) or to a minimum (cosine_with_min_lr) at the last step; or constant until the decay of the last steps (warmup_stable_decay). lr_scheduler_kwargs has its options. Default cosine. With constant there is no warmup unless warmup_steps is given.',
      },
    ),
    warmup_steps: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      description:
        'Optimizer steps over which the learning rate rises from zero, at most all but the last one. Automatic: 3 % of all steps, or what the method needs; none in jobs of fewer than 10 steps or with a constant rate.',
    }),
    weight_decay: Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'Decoupled weight decay of AdamW. Default 0.',
    }),
    adam_beta1: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      description: 'Decay of the mean of gradients. Default 0.9.',
    }),
    adam_beta2: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      description: 'Decay of the mean of squared gradients. Default 0.999.',
    }),
    adam_epsilon: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description: 'Added to the denominator of AdamW. Default 1e-8.',
    }),
    max_grad_norm: Type.Number({
      minimum: 0,
      description: 'Gradients are scaled down to this global norm; 0 leaves them. Default 1.',
    }),
    max_seq_length: Type.Integer({
      minimum: 8,
      maximum: 131_072,
      description:
        'Maximum number of tokens of an example; `overlong` decides what happens to longer ones. Automatic: the longest example of the data, up to the context of the base model; for plain texts, which are split, up to 2,048.',
    }),
    overlong: Type.Enum(['error', 'truncate', 'skip'], {
      type: 'string',
      description:
        'What happens to examples longer than max_seq_length. error: the job fails and lists them; plain texts are split into pieces instead. truncate: only their first tokens are used. skip: they are omitted. The job counts them in `data`. Default error.',
    }),
    text_stride: Type.Integer({
      minimum: 0,
      maximum: 131_071,
      description:
        'If overlong is error, lines of {"text"} longer than max_seq_length are split into pieces. Each piece starts with this many tokens of the previous one as context, at least one, which do not count towards the loss again. Default 0.',
    }),
    allow_special_tokens: Type.Boolean({
      description:
        'Whether special tokens such as <|im_end|> in the content of messages, in prompts and in completions are read as tokens. Default false: they are plain text, so that no content can forge a turn.',
    }),
    ...chatTraining,
    ...dataTraining,
    packing: Type.Boolean({
      description:
        'Whether to pack several examples into one row, without attention between them. Changes only speed and the random numbers that dropout and noise draw. Default true.',
    }),
    precision: Type.Enum(['auto', 'fp32', 'bf16'], {
      type: 'string',
      description: 'Precision of matrix products. Default auto: bf16 if the hardware supports it.',
    }),
    base_dtype: Type.Enum(['auto', 'fp32', 'bf16', 'int8', 'nf4'], {
      type: 'string',
      description:
        'Data type in which the frozen weights are stored during training. int8 and nf4 quantise them to a quarter and an eighth of fp32, and take some time to unpack. The adapter is used on the original base; if the worker has the memory, its published losses are measured there too. Default auto: bf16 if precision is bf16, otherwise fp32.',
    }),
    gradient_checkpointing: Type.Boolean({
      description:
        'Whether to recompute activations in the backward pass, which takes less memory and more time. Automatic: if max_seq_length is above 2,048, or if training would otherwise need more memory than any live worker has.',
    }),
    validation_split: Type.Number({
      minimum: 0,
      maximum: 0.5,
      description:
        'Approximate share of the training file to hold out for validation if there is no validation file; at least one example. Chosen by the content of prompts, so examples with the same prompt are in the same part and stay there when the file grows. Default 0.',
    }),
    validation_seed: Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description:
        'Seed of validation_split. Jobs with the same value hold out the same prompts, independent of `seed`. Default 42.',
    }),
    eval_steps: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'Optimizer steps between evaluations. Automatic: one epoch, or a quarter of the steps of a job with fewer than three epochs.',
    }),
    checkpoint_steps: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'Optimizer steps between checkpoints. Automatic: a tenth of the job, at least 10 and at most 500.',
    }),
    checkpoint_seconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      description:
        'Maximum number of seconds between checkpoints, in addition to checkpoint_steps. Default 600.',
    }),
    seed: Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description:
        'Seed of the order of examples, the initial weights and dropout. Default: a random seed, which the job shows; 42 in `graft train`.',
    }),
    max_steps: Type.Union([Type.Integer({ minimum: 1, maximum: 10_000_000 }), Type.Null()], {
      description:
        'Number of optimizer steps, overriding n_epochs; if it is larger, the examples are repeated. Default null: the steps of n_epochs.',
    }),
    early_stopping_patience: Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], {
      description:
        'Stop after this many consecutive evaluations without an improvement of metric_for_best_model. Needs validation data. Default null: train to the end.',
    }),
    early_stopping_threshold: Type.Number({
      minimum: 0,
      maximum: 1_000_000,
      description:
        'An evaluation is an improvement for early_stopping_patience only if metric_for_best_model is better by more than this. Default 0.',
    }),
    load_best_model_at_end: Type.Boolean({
      description:
        'Whether to publish the adapter of the best evaluation instead of the last step. Needs validation data. Automatic: true with early_stopping_patience.',
    }),
    metric_for_best_model: Type.Union(
      [
        Type.Enum([...bestMetrics], { type: 'string' }),
        Type.String({ pattern: SET_METRIC, minLength: 1, maxLength: 64 }),
      ],
      {
        description:
          'Metric that decides which evaluation is the best: the validation loss, an accuracy of tokens, classes or pairs, for pairs with FEATURE_EXTRACTION a retrieval metric, or for preferences the accuracy or margin of rewards. With validation_files also a metric of one of them: eval_<name>_loss, eval_<name>_accuracy, …. A request may leave out eval_. Default eval_loss.',
      },
    ),
    greater_is_better: Type.Boolean({
      description: 'Whether a larger metric_for_best_model is better. Automatic: true, except for losses.',
    }),
    ...optionalTraining,
  },
  { $id: 'ResolvedTraining', description: 'Training options with every value fixed.' },
);
export type ResolvedTraining = Static<typeof ResolvedTrainingSchema>;

/** The options that a request may have: all but those that only Graft sets. */
const { learning_rate_if_known: _, ...requested } = Type.Partial(ResolvedTrainingSchema).properties;

const auto = Type.Literal('auto');

/** `training` of a job creation request: any of the options; Graft chooses the omitted ones. */
export const TrainingOptionsSchema = Type.Object(
  {
    ...requested,
    n_epochs: Type.Optional(
      Type.Integer({ ...ResolvedTrainingSchema.properties.n_epochs, maximum: MAX_ASKED_EPOCHS }),
    ),
    ...trainingShorthands,
    learning_rate: Type.Optional(
      Type.Union([auto, ResolvedTrainingSchema.properties.learning_rate], {
        description:
          'Peak learning rate. "auto", the default: the method\'s default × learning_rate_multiplier.',
      }),
    ),
    lr_scheduler_type: Type.Optional(
      Type.Enum(
        ['constant', 'constant_with_warmup', 'linear', 'cosine', 'cosine_with_min_lr', 'warmup_stable_decay'],
        {
          type: 'string',
          description:
            'Schedule of the learning rate after warmup: constant; to zero (linear, cosine) or to a minimum (cosine_with_min_lr) at the last step; or constant until the decay of the last steps (warmup_stable_decay). lr_scheduler_kwargs has its options. Default cosine. With constant there is no warmup unless warmup_steps is given; constant_with_warmup is constant with the automatic warmup_steps.',
        },
      ),
    ),
    mini_batch_size: Type.Optional(
      Type.Union([auto, ResolvedTrainingSchema.properties.mini_batch_size], {
        description:
          'For pairs with FEATURE_EXTRACTION: number of examples of a batch that are embedded at a time, which takes less memory and more time. Loss and gradients are those of the whole batch (GradCache). Null: the whole batch. "auto", the default: null, unless training would need more memory than any live worker has.',
      }),
    ),
    gradient_checkpointing: Type.Optional(
      Type.Union([auto, ResolvedTrainingSchema.properties.gradient_checkpointing], {
        description:
          'Whether to recompute activations in the backward pass, which takes less memory and more time. "auto", the default: if max_seq_length is above 2,048, or if training would otherwise need more memory than any live worker has.',
      }),
    ),
  },
  {
    $id: 'TrainingOptions',
    additionalProperties: false,
    description: 'Training options. Omitted ones are chosen automatically and shown in the job.',
  },
);
export type TrainingOptions = Static<typeof TrainingOptionsSchema>;

/** OpenAI's hyperparameters of a supervised job. */
export const HyperparametersSchema = Type.Object(
  {
    n_epochs: Type.Optional(
      Type.Union([auto, Type.Integer({ minimum: 1, maximum: MAX_ASKED_EPOCHS })], {
        default: 'auto',
        description: 'Passes over the training examples.',
      }),
    ),
    batch_size: Type.Optional(
      Type.Union([auto, Type.Integer({ minimum: 1, maximum: 256 })], {
        default: 'auto',
        description: 'Examples per forward and backward pass.',
      }),
    ),
    learning_rate_multiplier: Type.Optional(
      Type.Union([auto, Type.Number({ exclusiveMinimum: 0 })], {
        default: 'auto',
        description: "Multiplies the method's learning rate.",
      }),
    ),
  },
  {
    $id: 'Hyperparameters',
    additionalProperties: false,
    description: 'OpenAI\'s hyperparameters, each a value or "auto".',
  },
);
/** OpenAI's hyperparameters of a job that learns from preferences. */
export const PreferenceHyperparametersSchema = Type.Object(
  {
    ...HyperparametersSchema.properties,
    beta: Type.Optional(
      Type.Union([auto, beta], { default: 'auto', description: 'As `training.preference.beta`.' }),
    ),
  },
  {
    $id: 'PreferenceHyperparameters',
    additionalProperties: false,
    description: 'OpenAI\'s hyperparameters of methods that learn from preferences, each a value or "auto".',
  },
);
export type Hyperparameters = Static<typeof PreferenceHyperparametersSchema>;

/** Options of `training` that are objects; faults name the field within. */
const nestedOptions = {
  lr_scheduler_kwargs: SchedulerKwargsSchema.properties,
  preference: preferenceSchema.properties,
};

/** Parses `training` of a request; undefined and null mean no options. Codes: unknown_training_option, invalid_training_option. */
export function parseTrainingOptions(given: unknown): TrainingOptions {
  if (given === undefined || given === null) return {};
  const value = withFullMetric(given);
  const faults: Fault[] = [];
  if (isRecord(value)) {
    const { properties } = TrainingOptionsSchema;
    const plain = Object.entries(properties).filter(([name]) => !Object.hasOwn(nestedOptions, name));
    faults.push(...unknownFields(value, properties, 'training'));
    faults.push(...checkFields(value, Object.fromEntries(plain), 'training', 'invalid_training_option'));
    const known = new Set(faults.map(({ path }) => path));
    const more = [...chatFaults(value), ...dataFaults(value)];
    faults.push(...more.filter(({ path }) => !known.has(path)));
    for (const [name, own] of Object.entries(nestedOptions)) {
      const given = value[name];
      const at = `training.${name}`;
      if (isRecord(given)) {
        faults.push(...unknownFields(given, own, at));
        faults.push(...checkFields(given, own, at, 'invalid_training_option'));
      } else {
        const whole = { [name]: properties[name as keyof typeof nestedOptions] };
        faults.push(...checkFields(value, whole, 'training', 'invalid_training_option'));
      }
    }
  } else {
    const message = `must be an object, got ${show(value)}`;
    faults.push({ code: 'invalid_training_option', path: 'training', message });
  }
  throwFaults(faults);
  return value as TrainingOptions;
}

function withFullMetric(given: unknown): unknown {
  if (!isRecord(given) || typeof given.metric_for_best_model !== 'string') return given;
  return { ...given, metric_for_best_model: fullMetricName(given.metric_for_best_model) };
}

function unknownFields(value: Record<string, unknown>, known: object, at: string): Fault[] {
  const faults: Fault[] = [];
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(known, key) || value[key] === undefined) continue;
    if (faults.length >= MAX_FAULTS) break;
    const [near] = nearest(key, Object.keys(known));
    const message = `is not known${near ? `; did you mean ${near}?` : ''}`;
    faults.push({ code: 'unknown_training_option', path: `${at}.${cut(key, 100)}`, message });
  }
  return faults;
}

/** Returns true if training on a base with this storage type reads other values than its files have. */
export const isQuantised = (base: ResolvedTraining['base_dtype']): base is 'int8' | 'nf4' =>
  base === 'int8' || base === 'nf4';
