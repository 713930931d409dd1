import type { Objective, Outcome } from '../objective.ts';
import { meanMetric, refusedOfPairs } from '../preference/metrics.ts';
import { ktoOptions } from './options.ts';

/** A sum over desirable or undesirable completions, divided by their number; null without any. */
const meanOver =
  (sum: string, isDesirable: boolean) =>
  ({ means }: Outcome): number | null => {
    const { desirable } = means;
    if (desirable === undefined) return null;
    const share = isDesirable ? desirable : 1 - desirable;
    return share > 0 ? means[sum]! / share : null;
  };

const judged = (name: string, label: string, sum: string, isDesirable: boolean) => ({
  ...meanMetric(name, label),
  measure: meanOver(sum, isDesirable),
});

/** Kahneman-Tversky optimisation: completions that are judged one by one, as by thumbs up and down. */
export const kto = {
  name: 'kto',
  method: 'kto',
  methodText: {
    title: 'KTO',
    when: 'Learns from answers that were judged one by one, such as thumbs up and down. Reads pairs, too.',
  },
  formats: ['unpaired_preference', 'preference'],
  examples: 'judged completions',
  tasks: ['CAUSAL_LM'],
  options: {},
  preference: ktoOptions,
  isUnpaired: true,
  examplesPerLine: { preference: 2 },
  // Those of dpo, of which few were tried (docs/auto.md).
  rateShares: { fresh: 0.25, continued: 0.04 },
  refuses: refusedOfPairs,
  metrics: [
    judged('rewards_chosen', 'Reward of desirable completions', 'rewards_chosen', true),
    judged('rewards_rejected', 'Reward of undesirable completions', 'rewards_rejected', false),
    {
      ...judged('logps_chosen', 'Log-probability of desirable completions', 'logps_desirable', true),
      column: 'logpsChosen',
    },
    judged('logps_rejected', 'Log-probability of undesirable completions', 'logps_undesirable', false),
    {
      ...meanMetric('rewards_margin', 'Reward margin'),
      better: 'higher',
      forBestModel: 'eval_rewards_margin',
      column: 'rewardsMargin',
      measure: (outcome) => {
        const above = meanOver('rewards_chosen', true)(outcome);
        const below = meanOver('rewards_rejected', false)(outcome);
        return above === null || below === null ? null : above - below;
      },
    },
    meanMetric('kl', 'Divergence from the reference'),
  ],
  passes: ['policy', 'reference'],
} as const satisfies Objective;
