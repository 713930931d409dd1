import type { ResolvedTraining } from '../config/index.ts';
import { bestMetricOf, EVAL_LOSS, isGreaterBetter } from '../objectives/metrics.ts';
import type { Metrics } from './evaluation.ts';

/** What an evaluation measured, as `MetricSeries` has it: a token accuracy of NaN or null is none. */
interface Measured {
  step: number;
  loss: number;
  tokenAccuracy: number | null;
  /** By their names on the wire. */
  metrics?: Metrics;
}

type Options = Pick<
  ResolvedTraining,
  'early_stopping_patience' | 'early_stopping_threshold' | 'metric_for_best_model' | 'greater_is_better'
>;

/** The option that makes a run's end depend on which evaluation was the best; null: none is given. */
export function asksForBest(
  training: Partial<Pick<ResolvedTraining, 'early_stopping_patience' | 'load_best_model_at_end'>>,
): 'early_stopping_patience' | 'load_best_model_at_end' | null {
  // Jobs of versions before them have none of these options.
  if ((training.early_stopping_patience ?? null) !== null) return 'early_stopping_patience';
  return training.load_best_model_at_end ? 'load_best_model_at_end' : null;
}

/**
 * Follows the evaluations of a run: which was the best, and whether patience is lost. All of it is a function of what was measured so
 * far, so a resumed run knows it from the measures in its checkpoint.
 *
 * As in transformers' Trainer (`EarlyStoppingCallback.check_metric_value`, then `Trainer._determine_best_metric`): an evaluation
 * is held against the best one before it, which every better one replaces, be it better by less than the threshold. So small gains
 * lose patience although they are the best.
 */
export class BestModel {
  readonly metric: Options['metric_for_best_model'];
  readonly #patience: number | null;
  readonly #threshold: number;
  readonly #greater: boolean;
  /** Of the best evaluation; infinite when there were some, none of them a number; null before the first. */
  #value: number | null = null;
  #step: number | null = null;
  #withoutGain = 0;

  /** Jobs of versions before them have none of these options. */
  constructor(training: Partial<Options>) {
    this.metric = training.metric_for_best_model ?? EVAL_LOSS;
    this.#patience = training.early_stopping_patience ?? null;
    this.#threshold = training.early_stopping_threshold ?? 0;
    this.#greater = training.greater_is_better ?? isGreaterBetter(this.metric);
  }

  /** Evaluations come by ascending step. True: the best so far. */
  take({ step, ...measured }: Measured): boolean {
    const value = bestMetricOf(this.metric, measured);
    const isBetter = (than: number) => (this.#greater ? value > than : value < than);
    const before = this.#value;
    const isGain = before === null || (isBetter(before) && Math.abs(value - before) > this.#threshold);
    this.#withoutGain = isGain ? 0 : this.#withoutGain + 1;
    this.#value ??= this.#greater ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    if (!isBetter(this.#value)) return false;
    this.#value = value;
    this.#step = step;
    return true;
  }

  /** The best evaluation, if there is one. */
  get best(): { step: number; value: number } | null {
    return this.#step === null ? null : { step: this.#step, value: this.#value! };
  }

  /** The last so many evaluations were no gain. */
  get evaluationsWithoutGain(): number {
    return this.#withoutGain;
  }

  get isPatienceLost(): boolean {
    return this.#patience !== null && this.#withoutGain >= this.#patience;
  }
}
