/** The least-squares line through a sequence of numbers, in constant memory. */
class Trend {
  #count = 0;
  #sum = 0;
  #squares = 0;
  /** Sum of each number times its index. */
  #weighted = 0;

  add(value: number): void {
    this.#weighted += value * this.#count++;
    this.#sum += value;
    this.#squares += value * value;
  }

  get mean(): number {
    return this.#sum / this.#count;
  }

  /** How far the line falls from the first number to the last, and the standard error of that fall; needs at least three numbers. */
  get fall(): { fall: number; error: number } {
    const n = this.#count;
    const xx = (n * (n * n - 1)) / 12;
    const xy = this.#weighted - ((n - 1) / 2) * this.#sum;
    const yy = this.#squares - this.#sum * this.mean;
    const slope = xy / xx;
    const variance = Math.max(0, yy - slope * xy) / (n - 2);
    return { fall: -slope * (n - 1), error: Math.sqrt(variance / xx) * (n - 1) };
  }
}

/** A loss on the curve: of an evaluation, or the mean of the training steps up to `step`. */
interface Point {
  step: number;
  loss: number;
}

/** A problem that the curve of the loss shows, and the two losses that prove it. */
export interface LossFinding {
  kind: 'diverging' | 'flat' | 'no_gradient' | 'overfitting';
  from: Point;
  to: Point;
}

/** A metric at a step. */
interface MetricPoint {
  step: number;
  value: number;
}

/** A problem that the metrics of preferences show, and the two values that prove it. */
export interface PreferenceFinding {
  kind: 'undecided' | 'margin_exploding' | 'chosen_unlikely';
  from: MetricPoint;
  to: MetricPoint;
}

export type Finding = LossFinding | PreferenceFinding;

interface WatchedRun {
  totalSteps: number;
  warmupSteps: number;
  /** True where the run continues from an adapter, which may have converged already: then a constant loss is no finding. */
  continues: boolean;
  prefers: boolean;
}

interface Step {
  loss: number;
  /** Share of correct predictions; NaN or null where the objective has none. */
  tokenAccuracy: number | null;
  gradNorm: number;
}

/** The steps behind one point of the smoothed curve. */
interface Stretch extends Point {
  /** Squared standard error of the mean. */
  error: number;
}

interface Evaluation {
  loss: number;
  /** As in steps. */
  tokenAccuracy: number | null;
  /** At least those of the objective's metrics that have a column, NaN where they were not measured. */
  metrics?: Readonly<Record<string, number>>;
}

/** Shorter runs have no findings. */
const fewestSteps = 20;
const shortestStretch = 5;
const longestStretch = 50;
const stretches = 20;
/** Number of standard errors that noise rarely exceeds. */
const beyondNoise = 3;
/** Least rise to report: this share of the loss at the start, and this share of the improvement since. */
const riseOfStart = 0.1;
const riseOfGain = 0.3;
/** After this share of the steps, and of those of a run that learns from preferences, the loss must have changed by more than `flatFall` of itself. */
const flatAfter = 0.4;
const flatPreferencesAfter = 0.55;
const flatFall = 0.01;
/** The noise must be small enough that a fall of this share would be seen. */
const seenFall = 0.08;
/** Above this accuracy a model has little left to learn. */
const learnedAccuracy = 0.95;
const stepsWithoutGradient = 10;
const nilGradient = 1e-12;
/** An evaluation is worse than the best one if its loss is higher by this share. */
const worseBy = 0.05;
const worseEvaluations = 2;

/**
 * Follows the curve of a run and reports, once each, that it diverges, does not move, or overfits; and what `PreferenceWatch` finds. The findings depend only on the
 * measurements so far: a resumed run, which replays those of its checkpoint first, finds the same at the same steps.
 */
export class CurveWatch {
  readonly #run: WatchedRun;
  /** Ring buffer of the last losses: the current incomplete stretch, then the rest of the one before. */
  readonly #recent: Float64Array;
  readonly #preferences: PreferenceWatch | null;
  readonly #found = new Set<Finding['kind']>();
  readonly #trend = new Trend();
  #step = 0;
  #correct = 0;
  #largestNorm = 0;
  #firstLoss = Number.NaN;
  #first: Stretch | null = null;
  #lowest: Stretch | null = null;
  /** Consecutive stretches well above the lowest. */
  #high = 0;
  #best: (Point & { training: number }) | null = null;
  /** Consecutive evaluations that were worse than the best, and the loss of the last evaluation. */
  #worse = 0;
  #lastEvaluation = Number.NaN;

  constructor(run: WatchedRun) {
    this.#run = run;
    this.#preferences = run.prefers ? new PreferenceWatch(run.totalSteps) : null;
    const length = Math.ceil(run.totalSteps / stretches);
    this.#recent = new Float64Array(Math.min(longestStretch, Math.max(shortestStretch, length)));
  }

  /** Adds the next step. Returns the findings that it shows for the first time. */
  takeStep({ loss, tokenAccuracy, gradNorm }: Step): Finding[] {
    const length = this.#recent.length;
    if (this.#step === 0) this.#firstLoss = loss;
    this.#recent[this.#step % length] = loss;
    if (this.#step >= this.#run.warmupSteps) this.#trend.add(loss);
    this.#correct += tokenAccuracy ?? Number.NaN;
    this.#largestNorm = Math.max(this.#largestNorm, gradNorm);
    this.#step++;
    const findings: Finding[] = this.#withoutGradient();
    findings.push(...this.#firstTime(this.#preferences?.takeStep(tokenAccuracy)));
    if (this.#step % length === 0) {
      const stretch = this.#stretch();
      findings.push(...this.#diverging(stretch), ...this.#flat(stretch, this.#correct / length));
      this.#first ??= stretch;
      if (!this.#lowest || stretch.loss < this.#lowest.loss) this.#lowest = stretch;
      this.#correct = 0;
    }
    return findings;
  }

  /** Adds an evaluation after the last step. Returns the findings that it shows for the first time. */
  takeEvaluation(evaluation: Evaluation): Finding[] {
    const preferenceFindings = this.#preferences?.takeEvaluation({ step: this.#step, ...evaluation });
    return [...this.#overfitting(evaluation.loss), ...this.#firstTime(preferenceFindings)];
  }

  #firstTime(findings: PreferenceFinding[] = []): PreferenceFinding[] {
    const first = findings.filter(({ kind }) => !this.#isDone(kind));
    for (const { kind } of first) this.#found.add(kind);
    return first;
  }

  #overfitting(loss: number): LossFinding[] {
    const { step, loss: training } = this.#stretch();
    const before = this.#lastEvaluation;
    this.#lastEvaluation = loss;
    if (!this.#best || loss < this.#best.loss) {
      this.#best = { step, loss, training };
      this.#worse = 0;
      return [];
    }
    this.#worse = loss > (1 + worseBy) * this.#best.loss ? this.#worse + 1 : 0;
    const isOverfitting = this.#worse >= worseEvaluations && loss > before && training < this.#best.training;
    return isOverfitting ? this.#find('overfitting', this.#best, { step, loss }) : [];
  }

  #isDone(kind: Finding['kind']): boolean {
    return this.#run.totalSteps < fewestSteps || this.#found.has(kind);
  }

  #find(kind: LossFinding['kind'], { step, loss }: Point, to: Point): LossFinding[] {
    if (this.#isDone(kind)) return [];
    this.#found.add(kind);
    return [{ kind, from: { step, loss }, to }];
  }

  /** The mean over the last stretch of steps, or over all steps where there are fewer. */
  #stretch(): Stretch {
    const losses = this.#recent.subarray(0, Math.min(this.#step, this.#recent.length));
    const loss = losses.reduce((sum, each) => sum + each, 0) / losses.length;
    const squares = losses.reduce((sum, each) => sum + (each - loss) ** 2, 0);
    const error = squares / Math.max(1, losses.length - 1) / losses.length;
    return { step: this.#step, loss, error };
  }

  #withoutGradient(): LossFinding[] {
    if (this.#step !== stepsWithoutGradient || this.#largestNorm > nilGradient) return [];
    const to = { step: this.#step, loss: this.#stretch().loss };
    return this.#find('no_gradient', { step: 1, loss: this.#firstLoss }, to);
  }

  /** Compares a stretch with the lowest one and with the first loss, before any learning: the first stretch may be high already. */
  #diverging(stretch: Stretch): LossFinding[] {
    const lowest = this.#lowest;
    if (!lowest) return [];
    const first = { step: 1, loss: this.#firstLoss, error: stretch.error * this.#recent.length };
    const start = Math.min(this.#firstLoss, this.#first!.loss);
    const rise = Math.max(riseOfStart * start, riseOfGain * (start - lowest.loss));
    const isAbove = (reference: Stretch) =>
      stretch.loss - reference.loss >
      Math.max(rise, beyondNoise * Math.sqrt(reference.error + stretch.error));
    const from = [lowest, first].find(isAbove);
    this.#high = from ? this.#high + 1 : 0;
    return from && this.#high >= 2 ? this.#find('diverging', from, stretchEnd(stretch)) : [];
  }

  #flat(stretch: Stretch, accuracy: number): LossFinding[] {
    const { totalSteps, warmupSteps, continues } = this.#run;
    const first = this.#first;
    if (!first || continues || accuracy > learnedAccuracy || this.#found.size > 0) return [];
    // A run without a learned preference is known at half of its steps, and is a clearer finding than a constant loss.
    const after = this.#preferences ? flatPreferencesAfter : flatAfter;
    if (this.#step < Math.max(after * totalSteps, warmupSteps + fewestSteps)) return [];
    const { fall, error } = this.#trend.fall;
    const scale = Math.abs(this.#trend.mean);
    const noise = beyondNoise * Math.sqrt(first.error + stretch.error);
    const hasMoved =
      Math.abs(fall) > Math.max(flatFall * scale, 2 * error) ||
      first.loss - stretch.loss > flatFall * scale + noise;
    const isClear = Math.abs(fall) + 2 * error < seenFall * scale;
    return isClear && !hasMoved ? this.#find('flat', first, stretchEnd(stretch)) : [];
  }
}

const stretchEnd = ({ step, loss }: Stretch): Point => ({ step, loss });

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
class PreferenceWatch {
  readonly #fromStep: number;
  readonly #toStep: number;
  #step = 0;
  #accuracies = 0;
  #squares = 0;
  #first = Number.NaN;
  /** The first evaluation that ranks every pair right, with its margin. */
  #right: MetricPoint | null = null;
  #likeliest: MetricPoint | null = null;
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

  takeEvaluation({
    step,
    tokenAccuracy,
    metrics = {},
  }: Omit<Evaluation, 'loss'> & { step: number }): PreferenceFinding[] {
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
  #marginExploding(now: MetricPoint, accuracy: number): PreferenceFinding[] {
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
  #chosenUnlikely(now: MetricPoint): PreferenceFinding[] {
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
