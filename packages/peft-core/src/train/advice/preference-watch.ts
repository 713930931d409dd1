interface Point {
  step: number;
  value: number;
}

/** A problem that the metrics of preferences show, and the two values that prove it. */
export interface PreferenceFinding {
  kind: 'undecided' | 'margin_exploding' | 'chosen_unlikely';
  from: Point;
  to: Point;
}

/** An evaluation: metrics that the objective does not measure are null, NaN or absent. */
interface Evaluation {
  step: number;
  tokenAccuracy: number | null;
  metrics?: Readonly<Record<string, number>>;
}

/** Range, in shares of a run's steps, in which measurements count: before, rates are still warming up and pairs are unseen. */
const undecidedFrom = 0.25;
const undecidedTo = 0.5;
/** An accuracy this close to one half is that of guesses. */
const nearHalf = 0.05;
/** With two standard errors added it must still be this close, or there are too few pairs to say so. */
const surelyNearHalf = 0.1;
/** Every pair is ranked right. */
const allRight = 0.999;
/** Above this margin a pair has no gradient left: the sigmoid of -20 is 2e-9. */
const largeMargin = 20;
/** A fall by this share of the magnitude of the log-probability is a collapse, if it is this many nats at least. */
const collapseShare = 0.5;
const collapseNats = 0.5;
const lowEvaluations = 2;

/**
 * Follows a run that learns from preferences. It reads only what checkpoints keep of every step and evaluation, so that a resumed run finds
 * the same: the reward accuracy of steps, and of evaluations the accuracy, the reward margin and the log-probability of chosen completions.
 * So margins and log-probabilities are watched only with validation data, where they also say more than those of one batch.
 */
export class PreferenceWatch {
  readonly #fromStep: number;
  readonly #toStep: number;
  #step = 0;
  #accuracies = 0;
  #squares = 0;
  #first = Number.NaN;
  /** The first evaluation that ranks every pair right, with its margin. */
  #right: Point | null = null;
  #likeliest: Point | null = null;
  /** Consecutive evaluations with a collapsed log-probability. */
  #low = 0;

  constructor(totalSteps: number) {
    this.#fromStep = Math.floor(undecidedFrom * totalSteps);
    this.#toStep = Math.ceil(undecidedTo * totalSteps);
  }

  /** Adds the reward accuracy of the next step; null where the objective has none. */
  takeStep(accuracy: number | null): PreferenceFinding[] {
    this.#step++;
    if (this.#step <= this.#fromStep || this.#step > this.#toStep) return [];
    const value = accuracy ?? Number.NaN;
    if (this.#step === this.#fromStep + 1) this.#first = value;
    this.#accuracies += value;
    this.#squares += value ** 2;
    return this.#step === this.#toStep ? this.#undecided() : [];
  }

  takeEvaluation({ step, tokenAccuracy, metrics = {} }: Evaluation): PreferenceFinding[] {
    const { rewards_margin: margin = Number.NaN, logps_chosen: chosen = Number.NaN } = metrics;
    return [
      ...this.#marginExploding({ step, value: margin }, tokenAccuracy ?? Number.NaN),
      ...this.#chosenUnlikely({ step, value: chosen }),
    ];
  }

  #undecided(): PreferenceFinding[] {
    const count = this.#toStep - this.#fromStep;
    const mean = this.#accuracies / count;
    const variance = Math.max(0, this.#squares / count - mean ** 2);
    const error = Math.sqrt(variance / Math.max(1, count - 1));
    const distance = Math.abs(mean - 0.5);
    // Not where it is NaN.
    if (!(distance <= nearHalf && distance + 2 * error <= surelyNearHalf)) return [];
    const from = { step: this.#fromStep + 1, value: this.#first };
    return [{ kind: 'undecided', from, to: { step: this.#step, value: mean } }];
  }

  /** Only where every pair was ranked right before already: then a larger margin is no gain. */
  #marginExploding(now: Point, accuracy: number): PreferenceFinding[] {
    const before = this.#right;
    if (!(accuracy > allRight) || Number.isNaN(now.value)) return [];
    this.#right ??= now;
    const isExploding = before !== null && now.value > largeMargin && now.value > before.value;
    return isExploding ? [{ kind: 'margin_exploding', from: before, to: now }] : [];
  }

  /**
   * Compared with the best evaluation, since the model before training is not evaluated. The log-probability is that of an answer, or per
   * token for methods that compare it so: half of its magnitude suits both, and answers of any length. A fall of less than half a nat
   * leaves the answer, or each token, more than half as likely. Preferences lower the log-probabilities of both completions a little in
   * most runs, and one evaluation may be an outlier: so half, and twice.
   */
  #chosenUnlikely(now: Point): PreferenceFinding[] {
    if (Number.isNaN(now.value)) return [];
    const best = this.#likeliest;
    if (best === null || now.value > best.value) {
      this.#likeliest = now;
      this.#low = 0;
      return [];
    }
    const fall = best.value - now.value;
    this.#low = fall > Math.max(collapseNats, collapseShare * Math.abs(best.value)) ? this.#low + 1 : 0;
    return this.#low >= lowEvaluations ? [{ kind: 'chosen_unlikely', from: best, to: now }] : [];
  }
}
