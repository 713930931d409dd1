import { NO_TARGET, type Sequence } from '../training-example.ts';
import type { Tokenized } from './format.ts';
import { BadExample, type Reading } from './reading.ts';

export interface LabelledTokens {
  ids: Int32Array;
  /** 1 if the token is a training target; never at index 0, which nothing predicts. */
  labelled: Uint8Array;
  /** Weight of each token as a target; absent: 1. */
  weights?: Float32Array;
  /** Role of each token, as an index of PART_ROLES. */
  roles?: Uint8Array;
}

/** Range of tokens; `to` is exclusive. `weight`: that of each of them as a target; absent: 1. */
type Span = { from: number; to: number; weight?: number };

export function withLabels(ids: readonly number[], spans: readonly Span[]): LabelledTokens {
  const whole: LabelledTokens = { ids: Int32Array.from(ids), labelled: new Uint8Array(ids.length) };
  if (spans.some(({ weight = 1 }) => weight !== 1)) whole.weights = new Float32Array(ids.length).fill(1);
  for (const { from, to, weight = 1 } of spans) {
    const [start, end] = [Math.max(1, from), Math.min(to, ids.length)];
    whole.labelled.fill(1, start, end);
    whole.weights?.fill(weight, start, end);
  }
  return whole;
}

/** Number of tokens up to and including the last target; later tokens have no effect. 0 without targets. */
export const lengthThroughTargets = ({ labelled }: LabelledTokens): number => labelled.lastIndexOf(1) + 1;

/** One sequence, cut after its last target. `whyEmpty`: the reason if it has no target. */
export function languageExample(whole: LabelledTokens, reading: Reading, whyEmpty: string): Tokenized {
  const { ids, labelled, weights, roles } = whole;
  const last = lengthThroughTargets(whole);
  if (last === 0) throw new BadExample('example_empty', `has no target tokens: ${whyEmpty}`);
  const kept = reading.kept(last);
  const end = kept === last ? last : labelled.lastIndexOf(1, kept - 1) + 1;
  if (end === 0) throw reading.tooLong(`${last}`);
  const targets = ids.slice(1, end).map((id, t) => (labelled[t + 1] === 1 ? id : NO_TARGET));
  const sequence: Sequence = { ids: ids.slice(0, end - 1), targets };
  if (weights) sequence.weights = weights.slice(1, end);
  if (roles) sequence.roles = roles.slice(0, end);
  return { sequences: [sequence], tokens: end };
}
