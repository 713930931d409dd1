/** Tasks of models in the playground: to write, or to read texts. */
export type Mode = 'chat' | 'text' | 'embeddings' | 'classes';

const modes: Record<string, Mode> = {
  FEATURE_EXTRACTION: 'embeddings',
  SEQ_CLS: 'classes',
  TOKEN_CLS: 'classes',
};

/** The mode of a model: the only one of an adapter that reads texts, otherwise as chosen. */
export function modeOf(chosen: string, taskType: string | null): Mode {
  const only = taskType === null ? undefined : modes[taskType];
  if (only) return only;
  // An adapter that writes text does nothing else.
  const writes = taskType !== null;
  if (chosen === 'text') return 'text';
  return !writes && (chosen === 'embeddings' || chosen === 'classes') ? chosen : 'chat';
}
