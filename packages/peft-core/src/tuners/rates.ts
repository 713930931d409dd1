import type { RatedModel } from './method.ts';

/** Nothing is known of narrower models: they are taken to be as wide. */
const NARROWEST = 256;

/**
 * So many times the rate at which AdamW tunes all weights of a base model, to two digits. That rate falls with the width:
 * 5e-5 · (2000 / width) ^ e; where no e is known it is 2e-5, which suits models of some billion parameters.
 * Source: Schulman et al. 2025, LoRA Without Regret, who fitted e for two families of decoders and found that updates of low rank
 * take ten times as much.
 */
export function rateByWidth(times: number, model?: RatedModel): number {
  const exponent = model?.rateExponent;
  const ofAll =
    exponent === undefined ? 2e-5 : 5e-5 * (2000 / Math.max(NARROWEST, model!.hiddenSize)) ** exponent;
  return Number((times * ofAll).toPrecision(2));
}
