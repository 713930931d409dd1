/** Schemas and parsing of a job's options. Loads no TensorFlow. */

export {
  type ErrorDetail,
  GraftError,
  type GraftErrorOptions,
  MAX_MESSAGE,
  shortened,
  shortenedDetails,
} from '../errors.ts';
export * from '../lists.ts';
export { checkObjectiveOptions } from '../objectives/check-options.ts';
export {
  isSetMetric,
  metricOfSet,
  namesOfColumns,
  setMetric,
  trainingMetrics,
} from '../objectives/metrics.ts';
export type { MetricDescription, Objective } from '../objectives/objective.ts';
export {
  checkMethodTask,
  comparesCompletions,
  describedMethods,
  leastBatch,
  listedObjectives,
  namedMethod,
  objectiveFor,
  objectiveOf,
  type PreferenceMethod,
  trainingMethods,
} from '../objectives/objectives.ts';
export { preferenceHyperparameters } from '../objectives/preference/beta.ts';
export { answerSchemaFault } from '../schema/answers/answer-schema.ts';
export { GrammarRules } from '../schema/answers/rules.ts';
export {
  type Combination,
  CombinationSchema,
  combinationFaults,
  MAX_COMBINATION_WEIGHT,
} from '../schema/combination.ts';
export { parseJson } from '../schema/exact-json.ts';
export { jsonExtent } from '../schema/json-extent.ts';
export { jsonFault } from '../schema/json-fault.ts';
export { MODULE_OPTIONS } from '../schema/module-options.ts';
export { nearest } from '../schema/nearest.ts';
export { type SamplingField, samplingFields } from '../schema/sampling-fields.ts';
export {
  OWN_TEMPLATE,
  type TemplateKwargs,
  TemplateKwargsSchema,
  templateKwargsFault,
} from '../schema/template-kwargs.ts';
export type { LeadingPositions, Method, Trial } from '../tuners/method.ts';
export {
  defaultPeft,
  defaultPeftWithin,
  invocationOf,
  isHeldPadded,
  leadingPositions,
  longestLead,
  methodOf,
  methods,
  type PeftConfig,
  type PeftType,
  peftTypes,
  publishedPeft,
  runtimesFor,
} from '../tuners/methods.ts';
export {
  type DataSize,
  type LengthLimits,
  seqLengthLimit,
  trainingReasons,
} from './automatic-training.ts';
export { type ChatTraining, type KnownTemplates, ownTemplate } from './chat-training.ts';
export { choosePeft, type PeftWarning, peftWarnings } from './choose-peft.ts';
export { type OnBadLines, resolvePrompts } from './data-training.ts';
export {
  type EpochSize,
  epochCounts,
  epochExamples,
  epochSize,
  FILE_EPOCHS_LIMITS,
  type FileShare,
  type Mixture,
  mixtureOf,
  WEIGHT_LIMITS,
} from './mixture.ts';
export {
  type Duplicates,
  duplicatesRemark,
  type Overlap,
  overlapRemark,
  unreadRemark,
} from './overlap.ts';
export {
  methodSchemas,
  PeftConfigSchema,
  PeftRequestSchema,
  parsePeftConfig,
} from './peft-config.ts';
export {
  optimizerSteps,
  resolveLength,
  resolveTraining,
  type TrainingRequest,
  validationCount,
} from './resolve-training.ts';
export { type Comparison, type Rung, rungsOf, SHARED_ADAPTERS, sweepSteps } from './rungs.ts';
export {
  nameTrial,
  parseSweep,
  type Sweep,
  type SweepBaseRequest,
  SweepSchema,
  type SweepTrial,
  trialName,
  trialsOf,
} from './sweep.ts';
export {
  type Hyperparameters,
  HyperparametersSchema,
  isQuantised,
  PreferenceHyperparametersSchema,
  parseTrainingOptions,
  type ResolvedTraining,
  ResolvedTrainingSchema,
  type TrainingOptions,
  TrainingOptionsSchema,
} from './training-options.ts';
export { namesOfSets, type ValidationSet } from './validation-sets.ts';
