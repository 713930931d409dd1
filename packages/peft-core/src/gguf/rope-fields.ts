import { GraftError } from '../errors.ts';
import { FREQUENCY_FACTORS, LONG_FACTORS, SHORT_FACTORS, yarnGrowth } from '../outlines/gguf/rope-gguf.ts';
import { LENGTH_SCALING, ropeOf, WAVELENGTH_SCALING } from '../outlines/rope.ts';
import type { GgufMetadata } from './metadata.ts';

/** The tensors of factors that divide the frequencies; null for those that a file lacks. */
export interface RopeFactors {
  all: Float32Array | null;
  short: Float32Array | null;
  long: Float32Array | null;
}

export const noRopeFactors: RopeFactors = { all: null, short: null, long: null };

export const ropeFactorNames = { all: FREQUENCY_FACTORS, short: SHORT_FACTORS, long: LONG_FACTORS };

/**
 * The fields of config.json for rotary positions: the inverse of `outlines/gguf/rope-gguf.ts`. Throws `unsupported_model` for factors that config.json cannot express.
 */
export function ropeFields(
  path: string,
  metadata: GgufMetadata,
  architecture: string,
  factors: RopeFactors,
  headSize: number,
): { rope_scaling: Record<string, unknown> | null; rope_theta: number } {
  const rope_theta = metadata.number(`${architecture}.rope.freq_base`) ?? 10000;
  if (factors.all) return { rope_scaling: scalingBy(path, factors.all, rope_theta, headSize), rope_theta };
  const key = `${architecture}.rope.scaling`;
  const rope_type = metadata.string(`${key}.type`) ?? 'none';
  const original = metadata.count(`${key}.original_context_length`);
  const trained = original === undefined ? {} : { original_max_position_embeddings: original };
  if (factors.short && factors.long) {
    const attention = metadata.number(`${key}.attn_factor`);
    const rope_scaling = {
      rope_type: LENGTH_SCALING,
      short_factor: decimals(factors.short),
      long_factor: decimals(factors.long),
      ...(attention !== undefined && { attention_factor: shortestDecimal(attention) }),
      ...trained,
    };
    return { rope_scaling, rope_theta };
  }
  if (rope_type === 'none') return { rope_scaling: null, rope_theta };
  const factor = metadata.number(`${key}.factor`) ?? 1;
  const rope_scaling = {
    rope_type,
    factor: shortestDecimal(factor),
    ...trained,
    ...(rope_type === 'yarn' && yarnFields(metadata, key, factor)),
  };
  return { rope_scaling, rope_theta };
}

/** `attention_factor` is absent if it is the usual one. */
function yarnFields(metadata: GgufMetadata, key: string, factor: number): Record<string, number> {
  const decimal = (name: string) => metadata.number(`${key}.${name}`);
  const [fast, slow] = [decimal('yarn_beta_fast'), decimal('yarn_beta_slow')];
  const logMultiplier = decimal('yarn_log_multiplier') ?? 0;
  const growth =
    logMultiplier === 0 ? yarnGrowth(factor) : yarnGrowth(factor) / yarnGrowth(factor, logMultiplier);
  const attention = growth * (decimal('attn_factor') ?? 1);
  return {
    ...(fast !== undefined && { beta_fast: shortestDecimal(fast) }),
    ...(slow !== undefined && { beta_slow: shortestDecimal(slow) }),
    ...(Math.abs(attention - yarnGrowth(factor)) > 1e-6 && {
      attention_factor: Number(attention.toPrecision(7)),
    }),
  };
}

const decimals = (values: Float32Array): number[] => Array.from(values, shortestDecimal);

/** The shortest decimal that rounds to the same float32: 1e-5 for a float32 that is 9.999999747378752e-6 as a double. */
export function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
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
