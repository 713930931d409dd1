/** Text to what a model trains on: tokenizers, chat templates, data files, labels and batches. Loads no TensorFlow. */
export {
  type BatchOptions,
  type BatchPlan,
  type BatchStats,
  type ExampleSize,
  type PlacedSequence,
  planBatches,
  planEvaluation,
  sizeOf,
} from './batches.ts';
export type { ChatMessage, ChatTemplateOptions } from './chat-template.ts';
export type { GridShape } from './choose-grid.ts';
export { type FilledBatch, fillBatch, type SequenceLayout } from './fill-batch.ts';
export {
  createJsonlChecker,
  type DatasetSummary,
  type JsonlChecker,
  MAX_LISTED_LINES,
  parseJsonl,
} from './jsonl.ts';
export { type ClassOf, classesBy, LabelCollector } from './label-names.ts';
export { withEos } from './labels.ts';
export type { DatasetFormat, Label, RawExample, TrainingMessage } from './raw-example.ts';
export { strayToken } from './stray-token.ts';
export type { StreamDecoder } from './stream-decoder.ts';
export { checkFormat, DATASET_FORMATS } from './task-formats.ts';
export { type TokenizeOptions, tokenizeExamples } from './tokenize.ts';
export { loadTokenizer, type Tokenizer, type TokenizerFiles } from './tokenizer.ts';
export { NO_TARGET, type Sequence, type TrainingExample } from './training-example.ts';
