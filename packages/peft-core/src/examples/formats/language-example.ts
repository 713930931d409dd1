import { NO_TARGET } from '../training-example.ts';
import type { Tokenized } from './format.ts';
import { BadExample, type Reading } from './reading.ts';

/** Tokens of a language model's example. */
export interface LabelledTokens {
  ids: Int32Array;
  /** 1 if the token is a training target; never at index 0, which nothing predicts. */
  labelled: Uint8Array;
}

/** Range of tokens; `to` is exclusive. */
type Span = { from: number; to: number };

export function withLabels(ids: readonly number[], spans: readonly Span[]): LabelledTokens {
  const labelled = new Uint8Array(ids.length);
  for (const { from, to } of spans) labelled.fill(1, Math.max(1, from), Math.min(to, ids.length));
  return { ids: Int32Array.from(ids), labelled };
}

/** Number of tokens up to and including the last target; later tokens have no effect. 0 without targets. */
export const lengthThroughTargets = ({ labelled }: LabelledTokens): number => labelled.lastIndexOf(1) + 1;

/** One sequence, cut after its last target. `whyEmpty`: the reason if it has no target. */
export function languageExample(whole: LabelledTokens, reading: Reading, whyEmpty: string): Tokenized {
  const { ids, labelled } = whole;
  const last = lengthThroughTargets(whole);
  if (last === 0) throw new BadExample('example_empty', `has no target tokens: ${whyEmpty}`);
  const kept = reading.kept(last);
  const end = kept === last ? last : labelled.lastIndexOf(1, kept - 1) + 1;
  if (end === 0) throw reading.tooLong(`${last}`);
  const targets = ids.slice(1, end).map((id, t) => (labelled[t + 1] === 1 ? id : NO_TARGET));
  return { sequences: [{ ids: ids.slice(0, end - 1), targets }], tokens: end };
}
