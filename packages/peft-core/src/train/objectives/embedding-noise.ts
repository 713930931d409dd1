import type { InputSpec } from '@graft/tf-graph';
import type { FilledBatch, GridShape } from '../../examples/index.ts';

/** Scale of the noise at each position, and at each position of an encoder-decoder's encoder: `(N)` each. */
export type NoiseOf<T> = { noise_scales: T } & ({ input_noise_scales: T } | Record<never, never>);

export function noiseInputs(grid: GridShape, varies: boolean): NoiseOf<InputSpec> {
  const perPosition = (tokens: number): InputSpec => ({ shape: [grid.rows * tokens], dtype: 'float32' });
  return {
    noise_scales: { ...perPosition(grid.tokens), ...(varies ? { varies } : {}) },
    ...(grid.inputTokens > 0 ? { input_noise_scales: perPosition(grid.inputTokens) } : {}),
  };
}

export interface NoiseOptions {
  /** `neftune_noise_alpha`. */
  alpha: number;
  width: number;
  /** Ids from here on are virtual tokens, which get no noise. */
  vocabularySize: number;
}

/**
 * Feeds of the noise scales: alpha / √(tokens of the sequence · width). transformers uses the padded length of the batch as the length of
 * a sequence; Graft counts no padding. `length`: of the list or grid that is fed.
 */
export function noiseFeeds(
  { ids, segments, input }: Pick<FilledBatch, 'ids' | 'segments' | 'input'>,
  { rows, length }: { rows: number; length: number },
  options: NoiseOptions,
): NoiseOf<Float32Array> {
  const own = scalesOf(ids.subarray(0, length), segments, length / rows, options);
  if (input.ids.length === 0) return { noise_scales: own };
  const inputScales = scalesOf(input.ids, input.segments, input.ids.length / rows, options);
  return { noise_scales: own, input_noise_scales: inputScales };
}

function scalesOf(
  ids: Int32Array,
  segments: Int32Array,
  rowLength: number,
  { alpha, width, vocabularySize }: NoiseOptions,
): Float32Array {
  const scales = new Float32Array(ids.length);
  const isToken = (at: number) => segments[at]! > 0 && ids[at]! < vocabularySize;
  for (let row = 0; row < ids.length; row += rowLength) {
    const tokens = new Map<number, number>();
    for (let at = row; at < row + rowLength; at++)
      if (isToken(at)) tokens.set(segments[at]!, (tokens.get(segments[at]!) ?? 0) + 1);
    for (let at = row; at < row + rowLength; at++)
      if (isToken(at)) scales[at] = alpha / Math.sqrt(tokens.get(segments[at]!)! * width);
  }
  return scales;
}
