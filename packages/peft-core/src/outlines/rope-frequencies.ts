import { GraftError } from '../errors.ts';

/** `rope_type` of the scaling that depends on a frequency's wavelength. */
export const WAVELENGTH_SCALING = 'llama3';

/**
 * The D/2 inverse frequencies of rotary positions, from config.json (`rope_parameters`, or `rope_theta` and `rope_scaling`
 * as written by transformers 4). Kinds: default, linear, WAVELENGTH_SCALING. Throws `unsupported_model` for any other kind.
 * Source: transformers, modeling_rope_utils.py.
 */
export function ropeFrequencies(raw: Record<string, unknown>, headSize: number): number[] {
  const rope = {
    ...(raw.rope_scaling as object | null),
    ...(raw.rope_parameters as object | null),
  } as Record<string, unknown>;
  const theta = Number(rope.rope_theta ?? raw.rope_theta ?? 10000);
  const plain = Array.from({ length: headSize / 2 }, (_, i) => theta ** ((-2 * i) / headSize));
  const kind = String(rope.rope_type ?? rope.type ?? 'default');
  const setting = (field: string): number => {
    const value = rope[field];
    if (typeof value === 'number' && value > 0) return value;
    const message = `config.json: rope scaling "${kind}" needs a positive number ${field}`;
    throw new GraftError('invalid_model_config', message, { param: 'model' });
  };
  if (kind === 'default') return plain;
  if (kind === 'linear') return plain.map((frequency) => frequency / setting('factor'));
  if (kind === WAVELENGTH_SCALING) {
    const factor = setting('factor');
    const [low, high] = [setting('low_freq_factor'), setting('high_freq_factor')];
    const trainedLength = setting('original_max_position_embeddings');
    return plain.map((frequency) => {
      // The number of full turns of the angle within the length of the model's original training: low frequencies are divided by
      // `factor`, high ones are unchanged, those between are interpolated.
      const turns = (trainedLength * frequency) / (2 * Math.PI);
      const stay = Math.min(1, Math.max(0, (turns - low) / (high - low)));
      return (1 - stay) * (frequency / factor) + stay * frequency;
    });
  }
  throw new GraftError(
    'unsupported_model',
    `rope scaling "${kind}" is not supported; default, linear and ${WAVELENGTH_SCALING} are`,
    { param: 'model' },
  );
}
