import { type Static, Type } from 'typebox';
import { bestMetrics } from '../objectives/metrics.ts';
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
import { TemplateKwargsSchema, templateKwargsFault } from '../schema/template-kwargs.ts';
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
        'Passes over the training examples, or as many as max_steps takes. Automatic: 3; 2 above 5,000 examples, 1 above 20,000. Below 240: up to 12 where a model writes nothing, up to 6 where its answers are short.',
    }),
    batch_size: Type.Integer({
      minimum: 1,
      maximum: 256,
      description:
        'Examples per forward and backward pass. Automatic: 8, or 32 for contrastive training on pairs of texts, or all examples if those are fewer, whatever gradient_accumulation_steps is. Negatives of pairs come from the batch.',
    }),
    mini_batch_size: Type.Union([Type.Integer({ minimum: 1, maximum: 256 }), Type.Null()], {
      description:
        'Of pairs for FEATURE_EXTRACTION: examples of a batch that are embedded at a time, in less memory and more time. Loss and gradients stay those of the whole batch (GradCache). Automatic: null, the whole batch, unless training would need more memory than any live worker has.',
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
      description: "Peak learning rate. Automatic: the method's × learning_rate_multiplier.",
    }),
    lr_scheduler_type: Type.Enum(
      ['constant', 'linear', 'cosine', 'cosine_with_min_lr', 'warmup_stable_decay'],
      {
        type: 'string',
        description:
          'How the learning rate falls after warmup: not at all; to zero at the last step, or to a least rate; or not until the last steps. More is said by lr_scheduler_kwargs. Default cosine. With constant it rises only if warmup_steps is given.',
      },
    ),
    warmup_steps: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      description:
        'Optimizer steps over which the learning rate rises from zero; the last step always has the full rate. Automatic: 3 % of all steps, or what the method needs; none in fewer than 10 steps, nor with a constant rate.',
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
        'Longest example in tokens; `overlong` says what becomes of a longer one. Automatic: that of the data, up to the context of the base model; of plain texts, which are split, up to 2,048.',
    }),
    overlong: Type.Enum(['error', 'truncate', 'skip'], {
      type: 'string',
      description:
        'What becomes of examples longer than max_seq_length: the job fails and lists them, and plain texts are split into pieces; their first tokens are kept; or they are left out. The job counts them in `data`. Default error.',
    }),
    text_stride: Type.Integer({
      minimum: 0,
      maximum: 131_071,
      description:
        'Lines of {"text"} longer than max_seq_length are split where overlong is error: each piece learns all of its tokens that no earlier one had, and sees this many of the tokens before them, at least one. Default 0.',
    }),
    allow_special_tokens: Type.Boolean({
      description:
        'Special tokens such as <|im_end|> in the content of messages, in prompts and in completions are tokens. Default false: they are plain text, so that no content can forge a turn.',
    }),
    chat_template_kwargs: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        ...TemplateKwargsSchema,
        description:
          'Variables of the chat template in training on conversations, such as {"enable_thinking": false}. The adapter answers with them, where a request does not set the same names. Default: none.',
      }),
    ),
    packing: Type.Boolean({
      description:
        'Lay several examples in one row, without attention between them. Changes speed and which random numbers dropout and noise draw, nothing else. Default true.',
    }),
    precision: Type.Enum(['auto', 'fp32', 'bf16'], {
      type: 'string',
      description: 'Precision of matrix products. Default auto: bf16 where the hardware has it.',
    }),
    base_dtype: Type.Enum(['auto', 'fp32', 'bf16', 'int8', 'nf4'], {
      type: 'string',
      description:
        'Storage of the frozen weights while training. int8 and nf4 quantise them: a quarter and an eighth of fp32, and some time to unpack. The adapter is the same kind of file and serves on the original base, on which the published figures are measured where the worker has the memory. Default auto: bf16 where precision is.',
    }),
    gradient_checkpointing: Type.Boolean({
      description:
        'Recompute activations in the backward pass: less memory, more time. Automatic: where max_seq_length is above 2,048, and where training would else need more memory than any live worker has.',
    }),
    validation_split: Type.Number({
      minimum: 0,
      maximum: 0.5,
      description:
        'Share of the training file held out for validation when no validation file is given, by the content of prompts: about that share, at least one. Examples with the same prompt are on one side, where they stay when the file grows. Default 0.',
    }),
    validation_seed: Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description:
        'Of what validation_split holds out. Jobs with the same one hold out the same prompts, whatever their seed. Default 42.',
    }),
    eval_steps: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'Optimizer steps between evaluations. Automatic: one training epoch, or a quarter of a run of fewer than three.',
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
        'A checkpoint is also written after the step at which this many seconds have passed since the last one. Default 600.',
    }),
    seed: Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description:
        'Of the order of examples, the initial weights and dropout. Default: drawn at random and shown in the job; 42 in `graft train`.',
    }),
    max_steps: Type.Union([Type.Integer({ minimum: 1, maximum: 10_000_000 }), Type.Null()], {
      description:
        'Number of optimizer steps, whatever n_epochs is: fewer than its epochs have, or more, for which the examples are seen again. Default null: as many as n_epochs has.',
    }),
    early_stopping_patience: Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], {
      description:
        'Stop after this many evaluations in a row that were no improvement of metric_for_best_model on the best before them. Needs validation data. Default null: train to the end.',
    }),
    early_stopping_threshold: Type.Number({
      minimum: 0,
      maximum: 1_000_000,
      description: 'What is no more than this is no improvement to early_stopping_patience. Default 0.',
    }),
    load_best_model_at_end: Type.Boolean({
      description:
        'Publish the adapter of the best evaluation, not that of the last step. Needs validation data. Automatic: with early_stopping_patience.',
    }),
    metric_for_best_model: Type.Enum([...bestMetrics], {
      type: 'string',
      description:
        'What the best is the best of: the validation loss, the share of tokens, classes or pairs that are right, or of pairs for FEATURE_EXTRACTION how well positives are found. Default eval_loss.',
    }),
    greater_is_better: Type.Boolean({
      description: 'Whether more of metric_for_best_model is better. Automatic: of all but a loss.',
    }),
    ...optionalTraining,
  },
  { $id: 'ResolvedTraining', description: 'Training options with every value fixed.' },
);
export type ResolvedTraining = Static<typeof ResolvedTrainingSchema>;

const auto = Type.Literal('auto');

/** `training` of a job creation request: any of the options; Graft chooses the omitted ones. */
export const TrainingOptionsSchema = Type.Object(
  {
    ...Type.Partial(ResolvedTrainingSchema).properties,
    n_epochs: Type.Optional(
      Type.Integer({ ...ResolvedTrainingSchema.properties.n_epochs, maximum: MAX_ASKED_EPOCHS }),
    ),
    ...trainingShorthands,
    learning_rate: Type.Optional(
      Type.Union([auto, ResolvedTrainingSchema.properties.learning_rate], {
        description:
          'Peak learning rate. "auto", as when it is left out: the method\'s × learning_rate_multiplier.',
      }),
    ),
    lr_scheduler_type: Type.Optional(
      Type.Enum(
        ['constant', 'constant_with_warmup', 'linear', 'cosine', 'cosine_with_min_lr', 'warmup_stable_decay'],
        {
          type: 'string',
          description:
            'How the learning rate falls after warmup: not at all; to zero at the last step, or to a least rate; or not until the last steps. More is said by lr_scheduler_kwargs. Default cosine. With constant it rises only if warmup_steps is given; constant_with_warmup is the same with the automatic warmup_steps.',
        },
      ),
    ),
    mini_batch_size: Type.Optional(
      Type.Union([auto, ResolvedTrainingSchema.properties.mini_batch_size], {
        description:
          'Of pairs for FEATURE_EXTRACTION: examples of a batch that are embedded at a time, in less memory and more time. Loss and gradients stay those of the whole batch (GradCache). null: the whole batch. "auto", as when it is left out: the whole batch, unless training would need more memory than any live worker has.',
      }),
    ),
    gradient_checkpointing: Type.Optional(
      Type.Union([auto, ResolvedTrainingSchema.properties.gradient_checkpointing], {
        description:
          'Recompute activations in the backward pass: less memory, more time. "auto", as when it is left out: where max_seq_length is above 2,048, and where training would else need more memory than any live worker has.',
      }),
    ),
  },
  {
    $id: 'TrainingOptions',
    additionalProperties: false,
    description: 'Training options. What is left out is chosen automatically and shown in the job.',
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
export type Hyperparameters = Static<typeof HyperparametersSchema>;

/** Parses `training` of a request; undefined and null mean no options. Codes: unknown_training_option, invalid_training_option. */
export function parseTrainingOptions(value: unknown): TrainingOptions {
  if (value === undefined || value === null) return {};
  const faults: Fault[] = [];
  if (isRecord(value)) {
    const { lr_scheduler_kwargs: kwargs } = value;
    // Its own fields are checked separately, so that faults name the field within the object.
    const { lr_scheduler_kwargs: nested, ...properties } = TrainingOptionsSchema.properties;
    faults.push(...unknownFields(value, TrainingOptionsSchema.properties, 'training'));
    faults.push(...checkFields(value, properties, 'training', 'invalid_training_option'));
    const { chat_template_kwargs: variables } = value;
    const message = isRecord(variables) ? templateKwargsFault(variables) : null;
    const path = 'training.chat_template_kwargs';
    if (message && !faults.some((fault) => fault.path === path))
      faults.push({ code: 'invalid_training_option', path, message });
    if (isRecord(kwargs)) {
      const at = 'training.lr_scheduler_kwargs';
      faults.push(...unknownFields(kwargs, SchedulerKwargsSchema.properties, at));
      faults.push(...checkFields(kwargs, SchedulerKwargsSchema.properties, at, 'invalid_training_option'));
    } else
      faults.push(
        ...checkFields(value, { lr_scheduler_kwargs: nested }, 'training', 'invalid_training_option'),
      );
  } else {
    const message = `must be an object, got ${show(value)}`;
    faults.push({ code: 'invalid_training_option', path: 'training', message });
  }
  throwFaults(faults);
  return value as TrainingOptions;
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

/** Whether training on a base with this storage type reads other values than its files have. */
export const isQuantised = (base: ResolvedTraining['base_dtype']): base is 'int8' | 'nf4' =>
  base === 'int8' || base === 'nf4';
