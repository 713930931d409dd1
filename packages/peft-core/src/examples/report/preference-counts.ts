import { formatOf, type RawExample } from '../formats/formats.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';

export interface PairSummary {
  count: number;
  /** Tokens of answers that count towards the loss; null without a model or without pairs that it reads. */
  answers: {
    /** Mean numbers of tokens. */
    chosen: number;
    rejected: number;
    /** Pairs whose chosen answer is the longer one, and those whose rejected answer is. */
    chosen_longer: number;
    rejected_longer: number;
  } | null;
}

export interface JudgementSummary {
  desirable: number;
  undesirable: number;
  /** Ranges for one of the two weights of method kto, if they should not both be 1; null if they may, or if one kind is missing. */
  suggested_weights: { desirable_weight: Range; undesirable_weight: Range } | null;
}

interface Range {
  from: number;
  to: number;
}

/** Desirable answers should weigh as much as undesirable ones, or up to a third more. Source: trl, trainer/kto_trainer.py. */
const MAX_SHARE = 1.33;

export class PreferenceCounts {
  #pairs = 0;
  #read = 0;
  #chosen = 0;
  #rejected = 0;
  #chosenLonger = 0;
  #rejectedLonger = 0;
  #desirable = 0;
  #undesirable = 0;

  add(raw: RawExample): void {
    const { isPair, isDesirable } = formatOf(raw.format);
    if (isPair) this.#pairs++;
    else if (isDesirable) isDesirable(raw) ? this.#desirable++ : this.#undesirable++;
  }

  addTokens({ format }: RawExample, { sequences }: TrainingExample): void {
    if (!formatOf(format).isPair) return;
    const [chosen = 0, rejected = 0] = sequences.map(({ targets }) => learntIn(targets!));
    this.#read++;
    this.#chosen += chosen;
    this.#rejected += rejected;
    if (chosen > rejected) this.#chosenLonger++;
    else if (chosen < rejected) this.#rejectedLonger++;
  }

  /** Null without pairs. */
  pairs(): PairSummary | null {
    if (this.#pairs === 0) return null;
    const read = this.#read;
    const answers = read > 0 && {
      chosen: this.#chosen / read,
      rejected: this.#rejected / read,
      chosen_longer: this.#chosenLonger,
      rejected_longer: this.#rejectedLonger,
    };
    return { count: this.#pairs, answers: answers || null };
  }

  /** Null without judged answers. */
  judgements(): JudgementSummary | null {
    const [desirable, undesirable] = [this.#desirable, this.#undesirable];
    if (desirable + undesirable === 0) return null;
    const share = desirable / undesirable;
    const isAdvised = desirable > 0 && undesirable > 0 && (share < 1 || share > MAX_SHARE);
    return {
      desirable,
      undesirable,
      suggested_weights: isAdvised
        ? {
            desirable_weight: { from: hundredths(1 / share), to: hundredths(MAX_SHARE / share) },
            undesirable_weight: { from: hundredths(share / MAX_SHARE), to: hundredths(share) },
          }
        : null,
    };
  }
}

function learntIn(targets: Int32Array): number {
  let learnt = 0;
  for (const target of targets) if (target !== NO_TARGET) learnt++;
  return learnt;
}

/** Rounded to hundredths, or to two digits if it is smaller: weights are greater than 0. */
const hundredths = (value: number): number =>
  value < 0.1 ? Number(value.toPrecision(2)) : Math.round(value * 100) / 100;
