import type { SentencePrompts } from '../base-model/sentence-prompts.ts';
import { EVAL_LOSS } from '../objectives/metrics.ts';
import { leastBatch, objectiveFor } from '../objectives/objectives.ts';
import { type Fault, throwFaults } from '../schema/check-fields.ts';
import type { RatedModel } from '../tuners/method.ts';
import { leadingPositions, methodOf, type PeftConfig } from '../tuners/methods.ts';
import { automatic, type DataSize, fixed, type LengthLimits, seqLengthLimit } from './automatic-training.ts';
import { type KnownTemplates, resolveChat } from './chat-training.ts';
import { type DataTraining, resolveData, resolvePrompts } from './data-training.ts';
import { resolveOptional } from './resolve-optional.ts';
import { resolveSchedule } from './resolve-schedule.ts';
import { areCompared, sweepEvalSteps } from './rungs.ts';
import {
  type Hyperparameters,
  MAX_EPOCHS,
  type ResolvedTraining,
  type TrainingOptions,
} from './training-options.ts';

export interface TrainingRequest extends DataSize, LengthLimits, KnownTemplates {
  peft: PeftConfig;
  /** `training` of the request, as parseTrainingOptions returned it. */
  training?: TrainingOptions;
  /** OpenAI's hyperparameters of the request, which match HyperparametersSchema. */
  hyperparameters?: Hyperparameters;
  /** True if there is a validation file. */
  hasValidationFile?: boolean;
  /** True if the job continues from an adapter. */
  continues?: boolean;
  /** The prompts of that adapter's training; null or absent: those of the base model. */
  startPrompts?: DataTraining['prompts'] | null;
  /** The base model's prompts; null: none, absent: not known yet. */
  sentencePrompts?: SentencePrompts | null;
  /** The base model, where known. */
  model?: RatedModel;
  /** For a trial of a sweep: the sweep's number of trials. */
  trials?: number;
}

/**
 * Resolves every training option of a job to a value. Throws `invalid_training_option` and `invalid_hyperparameter` for values that
 * contradict each other, the PEFT config or the base model.
 */
export function resolveTraining(request: TrainingRequest): ResolvedTraining {
  const { peft, training = {}, hyperparameters = {} } = request;
  const objective = objectiveFor(peft.task_type, request.format, request.method);
  const exampleCount = request.exampleCount * (objective.examplesPerLine?.[request.format ?? ''] ?? 1);
  const { contextLength = Number.POSITIVE_INFINITY } = request;
  const faults: Fault[] = [];
  const conflict = (path: string, message: string) =>
    faults.push({ code: 'invalid_training_option', path, message });

  for (const key of ['n_epochs', 'batch_size'] as const) {
    const twice = fixed(hyperparameters[key]);
    if (twice !== undefined && training[key] !== undefined && training[key] !== twice) {
      conflict(`training.${key}`, `is ${training[key]}, but hyperparameters.${key} is ${twice}`);
    }
  }
  const multiplier = fixed(hyperparameters.learning_rate_multiplier);
  const learningRateGiven = fixed(training.learning_rate);
  if (multiplier !== undefined && learningRateGiven !== undefined) {
    conflict('training.learning_rate', 'and hyperparameters.learning_rate_multiplier exclude each other');
  }
  if ((training.max_seq_length ?? 0) > contextLength) {
    conflict(
      'training.max_seq_length',
      `is ${training.max_seq_length}; the base model's context is ${contextLength}`,
    );
  }
  const split = training.validation_split ?? 0;
  const trained = Math.max(1, exampleCount - validationCount(exampleCount, split));
  const accumulation = training.gradient_accumulation_steps ?? 1;
  const batch =
    training.batch_size ??
    fixed(hyperparameters.batch_size) ??
    automatic.batch_size.value(peft, request, trained);
  const maxSteps = training.max_steps ?? null;
  const asked =
    training.n_epochs ?? fixed(hyperparameters.n_epochs) ?? automatic.n_epochs.value(peft, request);
  // As in HF's TrainingArguments max_steps overrides n_epochs, which is raised to match; unknown until the examples are counted.
  const following =
    exampleCount > 0 ? Math.ceil((maxSteps ?? 0) / Math.ceil(trained / (batch * accumulation))) : 0;
  const epochs = Math.max(asked, following);
  if (epochs > MAX_EPOCHS) {
    conflict(
      'training.max_steps',
      `is ${maxSteps}, for which ${trained} examples would be seen ${epochs} times; the limit is ${MAX_EPOCHS}`,
    );
  }
  const { steps, stepsPerEpoch } = optimizerSteps(trained, {
    n_epochs: epochs,
    batch_size: batch,
    gradient_accumulation_steps: accumulation,
    max_steps: maxSteps,
  });
  const { continues = false, model } = request;
  const learningRate =
    learningRateGiven ??
    automatic.learning_rate.value(peft, request, { steps, continues, model, multiplier });
  if (learningRate > 1) {
    faults.push({
      code: 'invalid_hyperparameter',
      path: 'hyperparameters.learning_rate_multiplier',
      message: `makes the learning rate ${learningRate}; the limit is 1`,
    });
  }
  // Absolute rates beside the automatic one suit only the one that the request shows, and trials compare rates themselves.
  const isOnlyRate =
    training.loraplus_lr_ratio === undefined &&
    training.min_lr === undefined &&
    training.lr_scheduler_kwargs?.min_lr === undefined;
  const isDecided =
    learningRateGiven === undefined &&
    objective.rateShares?.known !== undefined &&
    !(continues || request.trials || training.preference?.reference_free) &&
    isOnlyRate;
  const ifKnown = isDecided
    ? automatic.learning_rate.value(peft, request, { steps, continues, isKnown: true, model, multiplier })
    : undefined;
  const miniBatch = fixed(training.mini_batch_size) ?? null;
  if (miniBatch !== null && !objective.keepsBatch) {
    conflict(
      'training.mini_batch_size',
      'is for contrastive training on pairs (FEATURE_EXTRACTION); use a smaller batch_size, with gradient_accumulation_steps',
    );
  }
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  const maxSeqLength =
    training.max_seq_length ?? automatic.max_seq_length.value(request, request.longestExample ?? null);
  if (virtualTokens + prefixLength >= maxSeqLength) {
    conflict(
      'training.max_seq_length',
      `is ${maxSeqLength}, and peft.num_virtual_tokens takes ${virtualTokens + prefixLength} of them: no token of text is left`,
    );
  }
  const warmupSteps =
    training.warmup_steps ??
    automatic.warmup_steps.value(peft, steps, training.lr_scheduler_type !== 'constant');
  const run = { learningRate, warmupSteps, steps: exampleCount > 0 ? steps : 0 };
  const { schedule, faults: ofSchedule } = resolveSchedule(training, run);
  faults.push(...ofSchedule);
  const beta = fixed(hyperparameters.beta);
  const given = training.preference?.beta;
  if (beta !== undefined && typeof given === 'number' && given !== beta)
    conflict('training.preference.beta', `is ${given}, but hyperparameters.beta is ${beta}`);
  const preference = beta === undefined ? training.preference : { ...training.preference, beta };
  const optional = preference === undefined ? training : { ...training, preference };
  if (batch < leastBatch(objective))
    conflict(
      'training.batch_size',
      `is ${batch}, and the method ${objective.method} compares the completions of a batch; use ${leastBatch(objective)} or more`,
    );
  const { options, faults: ofOptions } = resolveOptional(optional, peft, objective);
  faults.push(...ofOptions);
  const { prompts, faults: ofPrompts } = resolvePrompts(
    training,
    objective,
    request.sentencePrompts,
    request.startPrompts,
  );
  // The columns are those of the format.
  if (request.format) faults.push(...ofPrompts);
  const pieceLength = training.max_seq_length ?? seqLengthLimit(request);
  if ((training.text_stride ?? 0) >= pieceLength - virtualTokens - prefixLength) {
    conflict(
      'training.text_stride',
      `is ${training.text_stride}: a piece of a text has at most that many tokens, and all would be repeated`,
    );
  }
  const needed = methodOf(peft).neededBase?.(peft);
  if (needed && training.base_dtype !== needed.dtype)
    conflict(
      'training.base_dtype',
      `must be ${JSON.stringify(needed.dtype)} with peft.${needed.option}; set it, or leave that option out`,
    );
  if (!request.hasValidationFile && split === 0) {
    const needed = 'needs validation data: give a validation file, or training.validation_split';
    for (const option of ['early_stopping_patience', 'load_best_model_at_end'] as const)
      if (training[option]) conflict(`training.${option}`, needed);
    if (request.trials) faults.push({ code: 'invalid_sweep', path: 'sweep', message: needed });
  }
  if (request.trials && (training.early_stopping_patience ?? null) !== null)
    conflict('training.early_stopping_patience', 'and sweep, which stops trials itself, exclude each other');
  throwFaults(faults);

  const isCompared = areCompared(request.trials ?? 0);
  const evalSteps =
    training.eval_steps ??
    (isCompared ? sweepEvalSteps(steps) : automatic.eval_steps.value(stepsPerEpoch, steps));
  const patience = training.early_stopping_patience ?? null;
  const measuring =
    patience !== null
      ? 'early_stopping_patience'
      : isCompared && training.eval_steps !== undefined
        ? 'a sweep'
        : null;
  if (measuring !== null && exampleCount > 0 && evalSteps >= steps) {
    conflict(
      'training.eval_steps',
      `is ${evalSteps}, and the job has ${steps} steps: with ${measuring} it must be measured before the end`,
    );
    throwFaults(faults);
  }
  const metric = training.metric_for_best_model ?? EVAL_LOSS;

  return {
    n_epochs: epochs,
    batch_size: batch,
    mini_batch_size: miniBatch,
    gradient_accumulation_steps: accumulation,
    learning_rate: learningRate,
    ...(ifKnown !== undefined && { learning_rate_if_known: ifKnown }),
    ...schedule,
    warmup_steps: warmupSteps,
    weight_decay: training.weight_decay ?? 0,
    adam_beta1: training.adam_beta1 ?? 0.9,
    adam_beta2: training.adam_beta2 ?? 0.999,
    adam_epsilon: training.adam_epsilon ?? 1e-8,
    max_grad_norm: training.max_grad_norm ?? 1,
    max_seq_length: maxSeqLength,
    overlong: training.overlong ?? 'error',
    text_stride: training.text_stride ?? 0,
    allow_special_tokens: training.allow_special_tokens ?? false,
    ...resolveChat(training, request),
    ...resolveData(training),
    ...(prompts && { prompts }),
    packing: training.packing ?? true,
    precision: training.precision ?? 'auto',
    base_dtype: training.base_dtype ?? 'auto',
    gradient_checkpointing:
      fixed(training.gradient_checkpointing) ?? automatic.gradient_checkpointing.value(maxSeqLength),
    validation_split: split,
    validation_seed: training.validation_seed ?? 42,
    eval_steps: evalSteps,
    checkpoint_steps: training.checkpoint_steps ?? automatic.checkpoint_steps.value(steps),
    checkpoint_seconds: training.checkpoint_seconds ?? 600,
    seed: training.seed ?? 42,
    max_steps: maxSteps,
    early_stopping_patience: patience,
    early_stopping_threshold: training.early_stopping_threshold ?? 0,
    load_best_model_at_end:
      training.load_best_model_at_end ?? automatic.load_best_model_at_end.value(patience),
    metric_for_best_model: metric,
    greater_is_better: training.greater_is_better ?? automatic.greater_is_better.value(metric),
    ...options,
  };
}

/**
 * A training whose `max_seq_length` was left to Graft, once its longest example, of at most `most` tokens, is known. Also sets gradient
 * checkpointing by that length if it was left to Graft.
 */
export function resolveLength(
  training: ResolvedTraining,
  { longest, most, leavesCheckpointing }: { longest: number; most: number; leavesCheckpointing: boolean },
): ResolvedTraining {
  const length = automatic.max_seq_length.value({ contextLength: most }, longest);
  return {
    ...training,
    max_seq_length: length,
    gradient_checkpointing: leavesCheckpointing
      ? automatic.gradient_checkpointing.value(length)
      : training.gradient_checkpointing,
  };
}

/** Number of optimizer steps of a training on `examples` examples. */
export function optimizerSteps(
  examples: number,
  training: Pick<ResolvedTraining, 'n_epochs' | 'batch_size' | 'gradient_accumulation_steps' | 'max_steps'>,
): { steps: number; stepsPerEpoch: number } {
  const { n_epochs: epochs, batch_size: batch, gradient_accumulation_steps: accumulation } = training;
  const stepsPerEpoch = Math.ceil(examples / (batch * accumulation));
  return {
    steps: Math.min(stepsPerEpoch * epochs, training.max_steps ?? Number.POSITIVE_INFINITY),
    stepsPerEpoch,
  };
}

/** Approximate number of examples in a validation split: at least one if a split is requested, and never all. */
export function validationCount(exampleCount: number, split: number): number {
  if (split === 0 || exampleCount < 2) return 0;
  return Math.max(1, Math.round(exampleCount * split));
}
