import type { ResolvedTraining } from '../config/index.ts';
import { bestMetricOf, EVAL_LOSS, isGreaterBetter } from '../objectives/metrics.ts';
import type { Metrics } from './evaluation.ts';

/** The measurements of an evaluation, as in `MetricSeries`: a token accuracy of NaN or null means none. */
interface Measured {
  step: number;
  loss: number;
  tokenAccuracy: number | null;
  /** By wire name. */
  metrics?: Metrics;
}

type Options = Pick<
  ResolvedTraining,
  'early_stopping_patience' | 'early_stopping_threshold' | 'metric_for_best_model' | 'greater_is_better'
>;

/**
 * Follows the evaluations of a run: which was the best, and whether patience has run out. The state depends only on the measurements
 * so far, so a resumed run rebuilds it from those in its checkpoint.
 *
 * As in transformers' Trainer (`EarlyStoppingCallback.check_metric_value`, then `Trainer._determine_best_metric`), an evaluation
 * is compared with the best one before it, and every better one becomes the best, even if it is better by less than the threshold. So
 * small gains use up patience although each is a new best.
 */
export class BestModel {
  readonly metric: Options['metric_for_best_model'];
  readonly #patience: number | null;
  readonly #threshold: number;
  readonly #greater: boolean;
  /** Value of the best evaluation; infinite if all evaluations so far were NaN; null before the first. */
  #value: number | null = null;
  #step: number | null = null;
  #withoutGain = 0;

  /** Jobs of earlier versions have none of these options. */
  constructor(training: Partial<Options>) {
    this.metric = training.metric_for_best_model ?? EVAL_LOSS;
    this.#patience = training.early_stopping_patience ?? null;
    this.#threshold = training.early_stopping_threshold ?? 0;
    this.#greater = training.greater_is_better ?? isGreaterBetter(this.metric);
  }

  /** Adds an evaluation; steps must ascend. Returns whether it is the best so far. */
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

  get best(): { step: number; value: number } | null {
    return this.#step === null ? null : { step: this.#step, value: this.#value! };
  }

  /** Number of consecutive last evaluations without a gain. */
  get evaluationsWithoutGain(): number {
    return this.#withoutGain;
  }

  get isPatienceLost(): boolean {
    return this.#patience !== null && this.#withoutGain >= this.#patience;
  }
}
