import { Trend } from './trend.ts';

/** A loss of the curve: of an evaluation, or the mean of the training steps up to `step`. */
interface Point {
  step: number;
  loss: number;
}

/** What a curve says against a run's options, and the two losses that show it. */
export interface Finding {
  kind: 'diverging' | 'flat' | 'no_gradient' | 'overfitting';
  from: Point;
  to: Point;
}

interface WatchedRun {
  totalSteps: number;
  warmupSteps: number;
  /** It goes on from an adapter that may have learnt all there is: a loss that stays is then no finding. */
  goesOn: boolean;
}

interface Step {
  loss: number;
  /** Share that was right; NaN or null where there is no such thing. */
  tokenAccuracy: number | null;
  gradNorm: number;
}

/** Steps of one point of the smoothed curve. */
interface Stretch extends Point {
  /** Of the mean, squared. */
  error: number;
}

/** Of shorter runs a curve says nothing. */
const fewestSteps = 20;
const shortestStretch = 5;
const longestStretch = 50;
const stretches = 20;
/** Standard errors that noise hardly reaches. */
const beyondNoise = 3;
/** A rise counts that is this much of the loss at the start, and this much of what was won since. */
const riseOfStart = 0.1;
const riseOfGain = 0.3;
/** After this share of the steps a loss should have moved by more than this share of itself. */
const flatAfter = 0.4;
const flatFall = 0.01;
/** And noise must be so small that a real fall would be seen. */
const seenFall = 0.08;
/** Who is right so often has little to learn. */
const learnt = 0.95;
const stepsWithoutGradient = 10;
const nilGradient = 1e-12;
/** An evaluation counts as worse than the best from this share on. */
const worseBy = 0.05;
const worseEvaluations = 2;

/**
 * Follows the curve of a run and says, once each, when it diverges, does not move, or overfits. What it says is a function of what
 * was measured so far, so a resumed run, which gives it the measures of its checkpoint first, finds the same at the same steps.
 */
export class CurveWatch {
  readonly #run: WatchedRun;
  /** The last losses: those of the stretch that is not complete yet, behind those of the one before. */
  readonly #recent: Float64Array;
  readonly #found = new Set<Finding['kind']>();
  readonly #trend = new Trend();
  #step = 0;
  #correct = 0;
  #largestNorm = 0;
  #firstLoss = Number.NaN;
  #first: Stretch | null = null;
  #lowest: Stretch | null = null;
  /** Stretches in a row that lie well above the lowest. */
  #high = 0;
  #best: (Point & { training: number }) | null = null;
  /** Evaluations in a row that were worse than the best, and the last one's loss. */
  #worse = 0;
  #lastEvaluation = Number.NaN;

  constructor(run: WatchedRun) {
    this.#run = run;
    const length = Math.ceil(run.totalSteps / stretches);
    this.#recent = new Float64Array(Math.min(longestStretch, Math.max(shortestStretch, length)));
  }

  /** The next step. Answers what it shows for the first time. */
  takeStep({ loss, tokenAccuracy, gradNorm }: Step): Finding[] {
    const length = this.#recent.length;
    if (this.#step === 0) this.#firstLoss = loss;
    this.#recent[this.#step % length] = loss;
    if (this.#step >= this.#run.warmupSteps) this.#trend.add(loss);
    this.#correct += tokenAccuracy ?? Number.NaN;
    this.#largestNorm = Math.max(this.#largestNorm, gradNorm);
    this.#step++;
    const findings = this.#withoutGradient();
    if (this.#step % length === 0) {
      const stretch = this.#stretch();
      findings.push(...this.#diverging(stretch), ...this.#flat(stretch, this.#correct / length));
      this.#first ??= stretch;
      if (!this.#lowest || stretch.loss < this.#lowest.loss) this.#lowest = stretch;
      this.#correct = 0;
    }
    return findings;
  }

  /** An evaluation after the last step. Answers what it shows for the first time. */
  takeEvaluation(loss: number): Finding[] {
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

  #find(kind: Finding['kind'], { step, loss }: Point, to: Point): Finding[] {
    if (this.#run.totalSteps < fewestSteps || this.#found.has(kind)) return [];
    this.#found.add(kind);
    return [{ kind, from: { step, loss }, to }];
  }

  /** The last steps, as many as a stretch has or there are. */
  #stretch(): Stretch {
    const losses = this.#recent.subarray(0, Math.min(this.#step, this.#recent.length));
    const loss = losses.reduce((sum, each) => sum + each, 0) / losses.length;
    const squares = losses.reduce((sum, each) => sum + (each - loss) ** 2, 0);
    const error = squares / Math.max(1, losses.length - 1) / losses.length;
    return { step: this.#step, loss, error };
  }

  #withoutGradient(): Finding[] {
    if (this.#step !== stepsWithoutGradient || this.#largestNorm > nilGradient) return [];
    const to = { step: this.#step, loss: this.#stretch().loss };
    return this.#find('no_gradient', { step: 1, loss: this.#firstLoss }, to);
  }

  /** Held against the lowest stretch, and against the first loss, before anything was learnt: the first stretch may be high already. */
  #diverging(stretch: Stretch): Finding[] {
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

  #flat(stretch: Stretch, accuracy: number): Finding[] {
    const { totalSteps, warmupSteps, goesOn } = this.#run;
    const first = this.#first;
    if (!first || goesOn || accuracy > learnt || this.#found.size > 0) return [];
    if (this.#step < Math.max(flatAfter * totalSteps, warmupSteps + fewestSteps)) return [];
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
