/** Schemas and parsing of what a job may ask for. Loads no TensorFlow. */

export { type ErrorDetail, GraftError, type GraftErrorOptions } from '../errors.ts';
export { nearest } from '../schema/nearest.ts';
export type { BottleneckConfig } from '../tuners/bottleneck/config.ts';
export type { Ia3Config } from '../tuners/ia3/config.ts';
export { type LeadingPositions, leadingPositions } from '../tuners/leading-positions.ts';
export type { LnTuningConfig } from '../tuners/ln-tuning/config.ts';
export type { LoraConfig } from '../tuners/lora/config.ts';
export { type PeftConfig, peftTypes } from '../tuners/methods.ts';
export type { PTuningConfig } from '../tuners/p-tuning/config.ts';
export type { PrefixTuningConfig } from '../tuners/prefix-tuning/config.ts';
export type { PromptTuningConfig } from '../tuners/prompt-tuning/config.ts';
export type { SelectiveConfig } from '../tuners/selective/config.ts';
export type { TrainableTokensConfig } from '../tuners/trainable-tokens/config.ts';
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
