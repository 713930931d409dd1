import { GraftError } from '../errors.ts';
import { defaultTask, isClassifier, type TaskType, writesText } from '../outlines/index.ts';
import { readSentencePooling } from './sentence-pooling.ts';

/** Result that a request needs: vectors of texts, or their classes. */
export type ScoreTask = 'embed' | 'classify';

/** A base model; `path`: its folder or file. */
interface Model {
  path: string;
  modelType: string;
  config: Record<string, unknown>;
}

/**
 * Throws `unsupported_task` for a model that computes no such result. `adapterTask`: null without adapter. Only reads small files, so that
 * a request can be refused before another model is unloaded for it.
 */
export async function checkScoreTask(
  { path, config }: Pick<Model, 'path' | 'config'>,
  adapterTask: TaskType | null,
  asked: ScoreTask,
): Promise<void> {
  const own = adapterTask ?? defaultTask(config);
  const isFit =
    asked === 'classify'
      ? isClassifier(own)
      : own === 'FEATURE_EXTRACTION' || (adapterTask === null && (await readSentencePooling(path)) !== null);
  if (!isFit) throw otherTask(own, asked);
}

/** Throws `unsupported_task` for a model that writes no text, or an adapter that does not. `adapterTask`: null without adapter. */
export function checkWritingTask(
  { modelType, config }: Pick<Model, 'modelType' | 'config'>,
  adapterTask: TaskType | null,
): void {
  const own = defaultTask(config);
  if (!writesText(own)) throw unwritten(modelType);
  if (adapterTask !== null && adapterTask !== own) throw otherWriter(adapterTask, own);
}

export function unwritten(modelType: string): GraftError {
  return new GraftError('unsupported_task', `${modelType} models do not write text`, { param: 'model' });
}

export function otherWriter(adapterTask: string, own: string): GraftError {
  return new GraftError(
    'unsupported_task',
    `the adapter is for ${adapterTask}; answers come from adapters for ${own}`,
    { param: 'adapter' },
  );
}

/** Advice for a model of a task, in place of the refused request. */
const remedies: Record<TaskType, string> = {
  CAUSAL_LM: 'ask it for a chat or a completion',
  SEQ_2_SEQ_LM: 'ask it for a completion',
  FEATURE_EXTRACTION: 'ask it for embeddings',
  SEQ_CLS: 'ask it to classify',
  TOKEN_CLS: 'ask it to classify',
};

function otherTask(own: TaskType, asked: ScoreTask): GraftError {
  const wanted =
    asked === 'embed'
      ? 'computes no embeddings, which need an adapter for FEATURE_EXTRACTION or a sentence model'
      : 'is no classifier, which needs an adapter for SEQ_CLS or TOKEN_CLS or a model with such a head';
  return new GraftError('unsupported_task', `the model does ${own} and ${wanted}; ${remedies[own]}`, {
    param: 'model',
  });
}
