/**
 * Shares of the rates of supervised training, measured with dpo on SmolLM2-135M (docs/preferences.md). A model that gives the right answers
 * already loses them at the rates that a new adapter needs.
 */
export const preferenceRates = { fresh: 0.25, continued: 0.04 };
