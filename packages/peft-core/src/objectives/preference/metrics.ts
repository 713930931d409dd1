/** Metrics of preference pairs. Rewards are those of the method's own formula: docs/preferences.md. */
import type { Metric } from '../objective.ts';

const measured = ['step', 'evaluation'] as const;

/** A mean over pairs, from the sums of the loss. */
export const meanMetric = (name: string, label: string): Metric => ({
  name,
  label,
  unit: 'number',
  better: null,
  measured,
  measure: ({ means }) => means[name] ?? null,
});

const logProbabilities = (label: string): readonly Metric[] => [
  { ...meanMetric('logps_chosen', `${label} of chosen completions`), column: 'logpsChosen' },
  meanMetric('logps_rejected', `${label} of rejected completions`),
];

const metricsOfPairs = (logps: readonly Metric[]): readonly Metric[] => [
  {
    name: 'rewards_accuracy',
    label: 'Reward accuracy',
    unit: 'share',
    better: 'higher',
    measured,
    field: 'token_accuracy',
    forBestModel: 'eval_rewards_accuracy',
    measure: ({ accuracy }) => accuracy,
  },
  {
    ...meanMetric('rewards_margin', 'Reward margin'),
    better: 'higher',
    forBestModel: 'eval_rewards_margin',
    column: 'rewardsMargin',
    measure: ({ means }) => means.rewards_chosen! - means.rewards_rejected!,
  },
  meanMetric('rewards_chosen', 'Reward of chosen completions'),
  meanMetric('rewards_rejected', 'Reward of rejected completions'),
  ...logps,
  {
    ...meanMetric('chosen_token_accuracy', 'Token accuracy of chosen completions'),
    unit: 'share',
    better: 'higher',
    measure: ({ means }) => means.chosen_hits! / means.chosen_tokens!,
  },
];

export const pairMetrics = metricsOfPairs(logProbabilities('Log-probability'));

/** Metrics of methods that compare completions by their mean log-probability per token. */
export const tokenMeanMetrics = metricsOfPairs(logProbabilities('Log-probability per token'));

/** Options of `training` that have no meaning for preferences. */
export const refusedOfPairs = {
  label_smoothing_factor:
    'is of next tokens; for pairs with method dpo there is training.preference.label_smoothing',
} as const;
