/** Text to what a model trains on: tokenizers, chat templates, data files, labels and batches. Loads no TensorFlow. */
export {
  type BatchOptions,
  type BatchPlan,
  type BatchStats,
  type FilledBatch,
  fillBatch,
  planBatches,
  planEvaluation,
} from './batches.ts';
export type { ChatMessage, ChatTemplateOptions } from './chat-template.ts';
export type { GridShape } from './choose-grid.ts';
export {
  createJsonlChecker,
  type DatasetSummary,
  type JsonlChecker,
  MAX_LISTED_LINES,
  parseJsonl,
} from './jsonl.ts';
export { type TokenizedExample, tokenizeExamples } from './labels.ts';
export type { Placement } from './pack.ts';
export type { DatasetFormat, RawExample, TrainingMessage } from './raw-example.ts';
export type { StreamDecoder } from './stream-decoder.ts';
export { loadTokenizer, type Tokenizer, type TokenizerFiles } from './tokenizer.ts';
