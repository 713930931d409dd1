import type { Sampling } from './talk.ts';

/** As it stands in the address, and in fields that people type into. */
export const samplingDefaults = {
  temperature: '0.7',
  top_p: '1',
  max_tokens: '256',
  seed: '1',
  stop: '',
};
export type SamplingText = typeof samplingDefaults;
type Name = keyof SamplingText;

/** What the API takes: schemas/sampling.ts. */
const limits: Record<Exclude<Name, 'stop'>, { from: number; to: number; whole: boolean; more?: string }> = {
  temperature: { from: 0, to: 2, whole: false },
  top_p: { from: Number.MIN_VALUE, to: 1, whole: false, more: 'more than 0, and at most 1' },
  max_tokens: { from: 1, to: 131_072, whole: true },
  seed: { from: 0, to: 2_147_483_647, whole: true },
};
const mostStops = 4;

/** The values, and what is wrong with those that are none. */
export function parseSampling(text: SamplingText): {
  sampling: Sampling;
  faults: Partial<Record<Name, string>>;
} {
  const faults: Partial<Record<Name, string>> = {};
  const number = (name: keyof typeof limits) => {
    const { from, to, whole, more } = limits[name];
    const value = text[name].trim() === '' ? Number.NaN : Number(text[name]);
    if (!(value >= from && value <= to) || (whole && !Number.isInteger(value)))
      faults[name] = `${whole ? 'A whole number' : 'A number'}, ${more ?? `${from} to ${to}`}.`;
    return value;
  };
  const stop = text.stop.split('\n').filter(Boolean);
  if (stop.length > mostStops) faults.stop = `At most ${mostStops} lines.`;
  const sampling = {
    ...{ temperature: number('temperature'), top_p: number('top_p') },
    ...{ max_tokens: number('max_tokens'), seed: number('seed'), stop },
  };
  return { sampling, faults };
}

export const anySeed = (): string => String(Math.floor(Math.random() * limits.seed.to));
