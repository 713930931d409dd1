import { GraftError } from '../errors.ts';
import { ropeOf, WAVELENGTH_SCALING } from '../outlines/rope.ts';
import type { GgufMetadata } from './metadata.ts';

/**
 * The fields of config.json for rotary positions. `factors` are the values of `rope_freqs.weight`, which divide the frequencies;
 * null if the file has none. Throws `unsupported_model` for factors that config.json cannot express.
 */
export function ropeFields(
  path: string,
  metadata: GgufMetadata,
  architecture: string,
  factors: Float32Array | null,
  headSize: number,
): { rope_scaling: Record<string, unknown> | null; rope_theta: number } {
  const rope_theta = metadata.number(`${architecture}.rope.freq_base`) ?? 10000;
  if (factors) return { rope_scaling: scalingBy(path, factors, rope_theta, headSize), rope_theta };
  const key = `${architecture}.rope.scaling`;
  const rope_type = metadata.string(`${key}.type`) ?? 'none';
  if (rope_type === 'none') return { rope_scaling: null, rope_theta };
  const original = metadata.count(`${key}.original_context_length`);
  const rope_scaling = {
    rope_type,
    factor: metadata.number(`${key}.factor`) ?? 1,
    ...(original === undefined ? {} : { original_max_position_embeddings: original }),
  };
  return { rope_scaling, rope_theta };
}

/**
 * Scaling by wavelength. llama.cpp's converter stores the divisors instead of the config's fields. All published models use
 * low_freq_factor 1, high_freq_factor 4 and 8,192 original positions; `factor` is the largest divisor. Refuses a file whose divisors
 * differ from those of these fields.
 */
function scalingBy(
  path: string,
  factors: Float32Array,
  rope_theta: number,
  headSize: number,
): Record<string, unknown> {
  const rope_scaling = {
    rope_type: WAVELENGTH_SCALING,
    factor: Math.max(...factors),
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
  };
  // The length is compared first, because a hostile file may claim any head size.
  if (factors.length === headSize / 2 && factors.every((factor) => factor > 0)) {
    const sizes = { headSize, maxPositions: 8192 };
    const plain = ropeOf({ rope_theta }, sizes).inverseFrequencies;
    const scaled = ropeOf({ rope_theta, ...rope_scaling }, sizes).inverseFrequencies;
    const fits = factors.every((stored, i) => {
      const expected = plain[i]! / scaled[i]!;
      return Math.abs(stored - expected) <= 1e-4 * expected;
    });
    if (fits) return rope_scaling;
  }
  throw new GraftError(
    'unsupported_model',
    `${path}: rope_freqs.weight holds a rope scaling that is not "${WAVELENGTH_SCALING}"; it cannot be written as config.json`,
    { param: 'model' },
  );
}
