import {
  LENGTH_SCALING,
  type Rope,
  type RopeFields,
  type RopeSizes,
  ropeOf,
  WAVELENGTH_SCALING,
} from '../rope.ts';
import type { GgufField } from './gguf-family.ts';

/** How llama.cpp's files hold a rotation: metadata, and tensors of factors. `gguf/rope-fields.ts` reads them. */
interface StoredRope {
  rope: Rope;
  fields: RopeFields;
}

/** Names of the tensors of factors, which divide the frequencies. */
export const FREQUENCY_FACTORS = 'rope_freqs.weight';
export const LONG_FACTORS = 'rope_factors_long.weight';
export const SHORT_FACTORS = 'rope_factors_short.weight';

const kindOf = (fields: RopeFields) => String(fields.rope_type ?? fields.type ?? 'default');
const thetaOf = (fields: RopeFields) => Number(fields.rope_theta ?? 10_000);

/** Factor of cosines and sines by which llama.cpp makes up for a scaling of positions. Source: Peng et al. 2023. */
export const yarnGrowth = (factor: number, weight = 1): number =>
  factor <= 1 ? 1 : 1 + 0.1 * weight * Math.log(factor);

export function ropeMetadata({ rope, fields }: StoredRope, maxPositions: number): Record<string, GgufField> {
  const kind = kindOf(fields);
  const f32 = (value: number): GgufField => ({ type: 'f32', value });
  const u32 = (value: number): GgufField => ({ type: 'u32', value });
  const common: Record<string, GgufField> = {
    'rope.dimension_count': u32(2 * rope.inverseFrequencies.length),
    'rope.freq_base': f32(thetaOf(fields)),
  };
  const original = Number(fields.original_max_position_embeddings ?? maxPositions);
  const factor = Number(fields.factor ?? maxPositions / original);
  if (kind === 'linear')
    return {
      ...common,
      'rope.scaling.type': { type: 'string', value: 'linear' },
      'rope.scaling.factor': f32(factor),
    };
  if (kind === 'yarn') {
    const attention = rope.attentionFactor / yarnGrowth(factor);
    return {
      ...common,
      'rope.scaling.type': { type: 'string', value: 'yarn' },
      'rope.scaling.factor': f32(factor),
      'rope.scaling.original_context_length': u32(original),
      ...(Math.abs(attention - 1) > 1e-6 && { 'rope.scaling.attn_factor': f32(attention) }),
      'rope.scaling.yarn_beta_fast': f32(Number(fields.beta_fast ?? 32)),
      'rope.scaling.yarn_beta_slow': f32(Number(fields.beta_slow ?? 1)),
    };
  }
  if (kind === LENGTH_SCALING)
    return {
      ...common,
      'rope.scaling.type': { type: 'string', value: 'longrope' },
      'rope.scaling.original_context_length': u32(original),
      'rope.scaling.attn_factor': f32(rope.attentionFactor),
    };
  return common;
}

export function ropeTables({ rope, fields }: StoredRope): Record<string, Float32Array> {
  const kind = kindOf(fields);
  const count = rope.inverseFrequencies.length;
  if (kind === WAVELENGTH_SCALING) {
    const theta = thetaOf(fields);
    const divisors = rope.inverseFrequencies.map((scaled, i) => theta ** (-i / count) / scaled);
    return { [FREQUENCY_FACTORS]: Float32Array.from(divisors) };
  }
  if (kind !== LENGTH_SCALING) return {};
  return {
    [LONG_FACTORS]: Float32Array.from(fields.long_factor as number[]),
    [SHORT_FACTORS]: Float32Array.from(fields.short_factor as number[]),
  };
}

/** The end of "llama.cpp computes no …" for a scaling that files cannot express, or null. `any`: what of yarn may have any value. */
export function scalesAreStored(fields: RopeFields, any: { betas: boolean; bounds: boolean }): string | null {
  if (kindOf(fields) !== 'yarn') return null;
  if (fields.truncate === false && !any.bounds) return 'yarn scaling with truncate false';
  const isDefault = Number(fields.beta_fast ?? 32) === 32 && Number(fields.beta_slow ?? 1) === 1;
  return isDefault || any.betas ? null : 'yarn scaling with other beta_fast and beta_slow than 32 and 1';
}

/** How llama.cpp's rotation differs from one whose bounds of yarn are not rounded: a whole sentence. Null: in nothing. */
export function roundedBounds({ rope, fields }: StoredRope, sizes: RopeSizes): string | null {
  if (kindOf(fields) !== 'yarn' || fields.truncate !== false) return null;
  const rounded = ropeOf({ ...fields, truncate: true }, sizes).inverseFrequencies;
  const errors = rope.inverseFrequencies.map((own, i) => Math.abs(rounded[i]! / own - 1));
  const differing = errors.filter((error) => error > 1e-6);
  if (differing.length === 0) return null;
  const percent = (100 * Math.max(...differing)).toPrecision(2);
  return `llama.cpp rounds the bounds of yarn scaling, which this model was trained without (truncate false): ${differing.length} of its ${errors.length} rotations are faster or slower by up to ${percent} %, as in every GGUF file of such models.`;
}
