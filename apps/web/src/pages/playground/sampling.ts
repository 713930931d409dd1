import type { Sampling } from './chat.ts';

/** Sampling options as text, for the URL and the fields. */
export const samplingDefaults = { temperature: '0.7', top_p: '1', max_tokens: '256', seed: '1', stop: '' };
export type SamplingText = typeof samplingDefaults;
type Name = keyof SamplingText;

/** Limits of the API (schemas/sampling.ts). */
const limits: Record<Exclude<Name, 'stop'>, { from: number; to: number; whole: boolean; range?: string }> = {
  temperature: { from: 0, to: 2, whole: false },
  top_p: { from: Number.MIN_VALUE, to: 1, whole: false, range: 'greater than 0, at most 1' },
  max_tokens: { from: 1, to: 131_072, whole: true },
  seed: { from: 0, to: 2_147_483_647, whole: true },
};
const maxStops = 4;

/** Parses the options. Invalid ones have a message in `faults`. */
export function parseSampling(text: SamplingText): {
  sampling: Sampling;
  faults: Partial<Record<Name, string>>;
} {
  const faults: Partial<Record<Name, string>> = {};
  const number = (name: keyof typeof limits) => {
    const { from, to, whole, range } = limits[name];
    const value = text[name].trim() === '' ? Number.NaN : Number(text[name]);
    if (!(value >= from && value <= to) || (whole && !Number.isInteger(value)))
      faults[name] = `${whole ? 'A whole number' : 'A number'}, ${range ?? `${from} to ${to}`}.`;
    return value;
  };
  const stop = text.stop.split('\n').filter(Boolean);
  if (stop.length > maxStops) faults.stop = `At most ${maxStops} lines.`;
  const sampling = {
    temperature: number('temperature'),
    top_p: number('top_p'),
    max_tokens: number('max_tokens'),
    seed: number('seed'),
    stop,
  };
  return { sampling, faults };
}

export const randomSeed = (): string => String(Math.floor(Math.random() * limits.seed.to));
