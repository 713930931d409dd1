/** Schemas and parsing of what a job may ask for. Loads no TensorFlow. */

export { type ErrorDetail, GraftError, type GraftErrorOptions } from '../errors.ts';
export { nearest } from '../schema/nearest.ts';
export type { BottleneckConfig } from '../tuners/bottleneck/config.ts';
export type { Ia3Config } from '../tuners/ia3/method.ts';
export { type LeadingPositions, leadingPositions } from '../tuners/leading-positions.ts';
export type { LnTuningConfig } from '../tuners/ln-tuning/method.ts';
export type { LoraConfig } from '../tuners/lora/config.ts';
export { type PeftConfig, peftTypes } from '../tuners/methods.ts';
export type { PTuningConfig } from '../tuners/p-tuning/method.ts';
export type { PrefixTuningConfig } from '../tuners/prefix-tuning/method.ts';
export type { PromptTuningConfig } from '../tuners/prompt-tuning/method.ts';
export type { SelectiveConfig } from '../tuners/selective/method.ts';
export type { TrainableTokensConfig } from '../tuners/trainable-tokens/method.ts';
export {
  methodSchemas,
  PeftConfigSchema,
  PeftRequestSchema,
  parsePeftConfig,
} from './peft-config.ts';
export { resolveTraining, type TrainingRequest, validationCount } from './resolve-training.ts';
export {
  type Hyperparameters,
  HyperparametersSchema,
  parseTrainingOptions,
  type ResolvedTraining,
  ResolvedTrainingSchema,
  type TrainingOptions,
  TrainingOptionsSchema,
} from './training-options.ts';
