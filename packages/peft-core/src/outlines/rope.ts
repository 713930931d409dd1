import { GraftError } from '../errors.ts';

/** `rope_type` of the scaling that depends on a frequency's wavelength. */
export const WAVELENGTH_SCALING = 'llama3';
/** `rope_type` of the scaling with two lists of factors. */
export const LENGTH_SCALING = 'longrope';

/** `rope_type` of the rotation of some pairs of a whole head. */
export const PROPORTIONAL = 'proportional';

/** Fields of rotary positions as in `rope_parameters` of config.json. */
export type RopeFields = Record<string, unknown>;

export interface Rope {
  /** R/2 frequencies, with scaling applied. The first R numbers of each head are rotated. */
  inverseFrequencies: number[];
  /** Factor of cosines and sines. */
  attentionFactor: number;
  /** Set if sequences of more than `over` tokens have other frequencies. */
  long?: { over: number; inverseFrequencies: number[] };
}

/** Inputs of a rotation beside its fields. */
export interface RopeSizes {
  headSize: number;
  /** `max_position_embeddings`. */
  maxPositions: number;
}

/**
 * The fields of a model with one rotation, from `rope_parameters`, or from `rope_theta` and `rope_scaling` as written by
 * transformers 4.
 */
export function ropeFields(config: Record<string, unknown>): RopeFields {
  const { rope_theta, original_max_position_embeddings } = config;
  return {
    ...(rope_theta == null ? {} : { rope_theta }),
    ...(config.rope_scaling as object | null),
    ...(config.rope_parameters as object | null),
    ...(original_max_position_embeddings == null ? {} : { original_max_position_embeddings }),
  };
}

/**
 * Kinds: default, linear, WAVELENGTH_SCALING, yarn, LENGTH_SCALING, PROPORTIONAL. Throws `unsupported_model` for any other kind, and
 * `invalid_model_config`, which names the field. Source: transformers, modeling_rope_utils.py.
 */
export function ropeOf(fields: RopeFields, sizes: RopeSizes): Rope {
  const kind = String(fields.rope_type ?? fields.type ?? 'default');
  const reader = new RopeReader(kind, fields);
  if (kind === PROPORTIONAL) return proportional(reader, sizes);
  const rotated = Math.floor(sizes.headSize * (reader.optional('partial_rotary_factor') ?? 1));
  if (rotated < 2 || rotated % 2 !== 0 || rotated > sizes.headSize)
    throw invalid('partial_rotary_factor must leave an even number of values of a head');
  const theta = reader.optional('rope_theta') ?? 10_000;
  const plain = Array.from({ length: rotated / 2 }, (_, i) => theta ** ((-2 * i) / rotated));
  if (!Object.hasOwn(kinds, kind))
    throw new GraftError(
      'unsupported_model',
      `rope scaling "${kind}" is not supported; ${[...Object.keys(kinds), PROPORTIONAL].join(', ')} are`,
      { param: 'model' },
    );
  return kinds[kind as keyof typeof kinds](plain, reader, sizes, theta);
}

type Scale = (plain: number[], fields: RopeReader, sizes: RopeSizes, theta: number) => Rope;

const kinds = {
  default: (plain) => ({ inverseFrequencies: plain, attentionFactor: 1 }),
  linear(plain, fields) {
    const factor = fields.required('factor');
    return { inverseFrequencies: plain.map((frequency) => frequency / factor), attentionFactor: 1 };
  },
  [WAVELENGTH_SCALING]: byWavelength,
  yarn,
  [LENGTH_SCALING]: byLength,
} satisfies Record<string, Scale>;

/**
 * The pairs of numbers are those of a rotation of the whole head, but only the first of them turn: as many as `partial_rotary_factor`
 * says. The frequency of the others is 0.
 */
function proportional(fields: RopeReader, { headSize }: RopeSizes): Rope {
  const part = fields.optional('partial_rotary_factor') ?? 1;
  if (part > 1) throw invalid('partial_rotary_factor must be at most 1');
  const turning = Math.floor((part * headSize) / 2);
  const theta = fields.optional('rope_theta') ?? 10_000;
  const factor = fields.optional('factor') ?? 1;
  const inverseFrequencies = Array.from({ length: headSize / 2 }, (_, i) =>
    i < turning ? theta ** ((-2 * i) / headSize) / factor : 0,
  );
  return { inverseFrequencies, attentionFactor: 1 };
}

function byWavelength(plain: number[], fields: RopeReader): Rope {
  const factor = fields.required('factor');
  const [low, high] = [fields.required('low_freq_factor'), fields.required('high_freq_factor')];
  const trainedLength = fields.required('original_max_position_embeddings');
  const inverseFrequencies = plain.map((frequency) => {
    // The number of full turns of the angle within the length of the model's original training: low frequencies are divided by
    // `factor`, high ones are unchanged, those between are interpolated.
    const turns = (trainedLength * frequency) / (2 * Math.PI);
    const stay = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return (1 - stay) * (frequency / factor) + stay * frequency;
  });
  return { inverseFrequencies, attentionFactor: 1 };
}

/** Source: Peng et al. 2023, arXiv:2309.00071. */
function yarn(plain: number[], fields: RopeReader, { maxPositions }: RopeSizes, theta: number): Rope {
  const original = fields.optional('original_max_position_embeddings') ?? maxPositions;
  const factor = fields.optional('factor') ?? maxPositions / original;
  const R = 2 * plain.length;
  // The pair of numbers that makes this many full turns within the original length.
  const pairOf = (turns: number) => (R * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const whole = fields.fields.truncate ?? true;
  const [first, last] = [
    pairOf(fields.optional('beta_fast') ?? 32),
    pairOf(fields.optional('beta_slow') ?? 1),
  ] as [number, number];
  const low = Math.max(0, whole ? Math.floor(first) : first);
  const high = Math.min(R - 1, whole ? Math.ceil(last) : last);
  const width = low === high ? 0.001 : high - low;
  const inverseFrequencies = plain.map((frequency, i) => {
    const divided = Math.min(1, Math.max(0, (i - low) / width));
    return (frequency / factor) * divided + frequency * (1 - divided);
  });
  const growth = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const [scale, scaleOfAll] = [fields.optional('mscale'), fields.optional('mscale_all_dim')];
  const ratio = scale && scaleOfAll ? growth(scale) / growth(scaleOfAll) : growth(1);
  return { inverseFrequencies, attentionFactor: fields.optional('attention_factor') ?? ratio };
}

/** Each frequency has a factor for short sequences, and one for long sequences. Source: Ding et al. 2024, arXiv:2402.13753. */
function byLength(plain: number[], fields: RopeReader, { maxPositions }: RopeSizes): Rope {
  const over = fields.optional('original_max_position_embeddings') ?? maxPositions;
  const factor = fields.optional('factor') ?? maxPositions / over;
  const growth = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(over));
  const divided = (field: string) => {
    const factors = fields.list(field, plain.length);
    return plain.map((frequency, i) => frequency / factors[i]!);
  };
  return {
    inverseFrequencies: divided('short_factor'),
    attentionFactor: fields.optional('attention_factor') ?? growth,
    long: { over, inverseFrequencies: divided('long_factor') },
  };
}

/** Reads the fields of one rotation. Every number is positive. */
class RopeReader {
  readonly fields: RopeFields;
  readonly #kind: string;

  constructor(kind: string, fields: RopeFields) {
    this.#kind = kind;
    this.fields = fields;
  }

  optional(field: string): number | undefined {
    const value = this.fields[field] ?? undefined;
    if (value === undefined || isPositive(value)) return value;
    throw invalid(`rope scaling "${this.#kind}": ${field} must be a positive number`);
  }

  required(field: string): number {
    const value = this.optional(field);
    if (value !== undefined) return value;
    throw invalid(`rope scaling "${this.#kind}" needs a positive number ${field}`);
  }

  list(field: string, length: number): number[] {
    const value = this.fields[field];
    if (Array.isArray(value) && value.length === length && value.every(isPositive)) return value;
    throw invalid(`rope scaling "${this.#kind}" needs a list ${field} of ${length} positive numbers`);
  }
}

const isPositive = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;

const invalid = (message: string) =>
  new GraftError('invalid_model_config', `config.json: ${message}`, { param: 'model' });
