/** Train, score, generate and merge PEFT models in Node. Importing this loads TensorFlow; './config' and './text' do not. */
export { GraftError } from './errors.ts';
export { type GenerateRequest, type GenerateResult, Generator, openGenerator } from './generate/generator.ts';
export { type AdapterReport, inspectAdapter } from './inspect.ts';
export { mergeAdapter } from './merge.ts';
export { type Score, type ScoreInput, scoreTexts } from './score/score-texts.ts';
export { train } from './train/loop.ts';
export { effectivePrecision, environmentFor } from './train/precision.ts';
export { type AdapterProof, type ProofOptions, proveAdapter } from './train/prove.ts';
export type { TrainOptions, TrainRecord } from './train/records.ts';
export { WarmModel } from './train/warm-model.ts';
