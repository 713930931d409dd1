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

/** The cosine of every vector with every other, by row. */
export function cosines(vectors: readonly (readonly number[])[]): number[][] {
  const lengths = vectors.map((vector) => Math.hypot(...vector));
  return vectors.map((a, i) =>
    vectors.map((b, j) => {
      const product = a.reduce((sum, x, k) => sum + x * b[k]!, 0);
      const length = lengths[i]! * lengths[j]!;
      return length === 0 ? 0 : product / length;
    }),
  );
}
