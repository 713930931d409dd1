/** Train, score, generate and merge PEFT models in Node. Importing this module loads TensorFlow; './config' and './text' do not. */

export type { ScoreTask } from './base-model/serving-tasks.ts';
export { GraftError } from './errors.ts';
export { exportFolder } from './exports/export-folder.ts';
export type { ExportJob, ExportRequest, ExportResult, ExportWriter } from './exports/export-writer.ts';
export { mergeAdapter } from './exports/merge-adapter.ts';
export { writeExport } from './exports/writers.ts';
export {
  type GenerateRequest,
  Generator,
  type GeneratorOptions,
  openGenerator,
} from './generate/generator.ts';
export type { LikelyTokens, TokenLikelihood } from './generate/sampling/likely-tokens.ts';
export type { GeneratedText, GenerateResult } from './generate/sequence.ts';
export type { ServingLimits } from './generate/step.ts';
export { type AdapterReport, inspectAdapter } from './peft-model/inspect-adapter.ts';
export type { Score } from './score/score.ts';
export { type PreferenceScore, scorePreferences } from './score/score-preferences.ts';
export { type ScoreInput, scoreTexts } from './score/score-texts.ts';
export type { ScoredInput } from './score/serve/read-inputs.ts';
export type { ScoreKind, ScoringLimits } from './score/serve/scored-models.ts';
export {
  type InputScore,
  type ScoreRequest,
  type ScoreStart,
  TextScorer,
} from './score/serve/text-scorer.ts';
export { train } from './train/loop.ts';
export { measureSpeed } from './train/machine/measure-speed.ts';
export { effectivePrecision, environmentFor, type Requirements } from './train/precision.ts';
export type { SweepStretch, TrainOptions, TrainRecord } from './train/records.ts';
export { trainSweep } from './train/sweep/train-sweep.ts';
export { checkedKernelSets } from './train/verification/check-compiler.ts';
export { checkEngine } from './train/verification/check-engine.ts';
export {
  type AdapterVerification,
  measureServed,
  type ServedFigures,
  type ServedLimit,
  type VerificationOptions,
  verifyAdapter,
} from './train/verification/verify-adapter.ts';
export { WarmModel } from './train/warm-model.ts';
