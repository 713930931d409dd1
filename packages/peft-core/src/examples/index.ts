/** From data files to input of training: checked lines, tokenised examples, batches. Loads no TensorFlow. */
export { costOf, type GridShape } from './batches/choose-grid.ts';
export {
  type FilledBatch,
  fillBatch,
  layoutOfBase,
  type SequenceLayout,
  targetsOf,
} from './batches/fill-batch.ts';
export type { MixedFiles } from './batches/mixed-order.ts';
export {
  type BatchLayout,
  type BatchPlan,
  type MeasuredPlan,
  plansOfSets,
} from './batches/plan-batches.ts';
export {
  cheapestOnStock,
  miniBatchCount,
  miniBatchSize,
  planInputs,
  planMeasuring,
  planTraining,
  roundToLabels,
} from './batches/plan-training.ts';
export { sharedPrefixes } from './batches/shared-prefixes.ts';
export { classWeightsOf } from './class-weights.ts';
export {
  checkDataFile,
  createDataFileChecker,
  type DataFileChecker,
  type DataFileSummary,
  type Recognised,
  readDataFile,
} from './data-file.ts';
export {
  type DataFile,
  type DataFiles,
  filesOf,
  mixtureOfFiles,
  type TrainingFile,
  type ValidationFile,
} from './data-files.ts';
export { type ReadingOptions, readingOptions, tokenizeOptions } from './example-source.ts';
export { type FormatName, formatOf, formats, type RawExample } from './formats/formats.ts';
export { parseJsonl } from './jsonl.ts';
export { measureExamples } from './measure-examples.ts';
export {
  checkFormats,
  checkSplit,
  checkTrainingMethod,
  eachTrial,
  lengthRead,
  type PlannedTrials,
  planTrials,
  resolveTrials,
  type TrialsData,
} from './plan-trials.ts';
export { examplesFor, JudgedLabels } from './preferences.ts';
export { readExamples, type SkippedLines, type UnreadColumnOf } from './read-examples.ts';
export { DuplicateCounter } from './report/duplicate-counter.ts';
export type { LengthSummary } from './report/length-counts.ts';
export { OverlapCounter } from './report/overlap-counter.ts';
export type { ExamplePreview } from './report/preview.ts';
export {
  createExampleReporter,
  type ExampleReport,
  type ExampleReporter,
  type ReportedJob,
  type ReportedModel,
} from './report/report-examples.ts';
export type { DatasetSummary } from './row-checker.ts';
export { type ColumnMapping, parseColumns } from './shapes/columns.ts';
export { needsModelTask } from './task-formats.ts';
export { TextNumbers } from './text-numbers.ts';
export { type ExampleCounts, lengthOf, tokenizeExamples } from './tokenize-examples.ts';
export {
  examplesPerEpoch,
  readTrainingData,
  type TrainingData,
  tokensPerEpoch,
} from './training-data.ts';
export { NO_TARGET, type Sequence, type TrainingExample } from './training-example.ts';
