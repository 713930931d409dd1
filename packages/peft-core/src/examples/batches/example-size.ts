import { lastMatch } from '../../text/last-match.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';
import type { Shareable } from './shared-prefixes.ts';

export interface ExampleSize {
  /** Number of positions in each of its sequences. */
  widths: number[];
  /** Number of positions in an encoder-decoder's encoder input; 0 for other models. */
  inputWidth: number;
  /** Number of targets; 1 for an example to embed. */
  labels: number;
  /** Number of tokens as shown to users. */
  tokens: number;
  /** The ids of each of its sequences, if their prefixes may be shared with other sequences. */
  shareable?: Shareable[];
  /** It is a preference pair: two completions of a prompt. */
  isPair?: true;
}

/** Inputs of an example's size besides the example. */
export interface SizeOptions {
  /** Number of virtual tokens before its sequences, or before its encoder's input. */
  virtualTokens?: number;
  /** Id of the first virtual token, where beginnings may be shared; absent or null: they may not. */
  firstVirtual?: number | null;
  /** The tokens of a pair's prompt are targets, too, of its first sequence. */
  learnsPrompts?: boolean;
  /** The tokens from whose last occurrence in a sequence on the adapter is active. Absent or null: it always is. */
  invocation?: readonly number[] | null;
}

/**
 * The size of an example. With `firstVirtual` also the part of each sequence that others may share: everything before the first label,
 * or before the last token of a sequence whose class is read at its end. Of a pair it is what is before the completions. What an adapter
 * changes from its invocation on is shared with none, since another sequence may be invoked at another place.
 */
export function sizeOf(
  example: TrainingExample,
  { virtualTokens = 0, firstVirtual = null, learnsPrompts = false, invocation = null }: SizeOptions = {},
): ExampleSize {
  const { sequences, tokens } = example;
  const [{ input, targets }] = sequences as [(typeof sequences)[0]];
  const isPair = targets !== undefined && sequences.length > 1;
  let labels = 1;
  if (targets) {
    labels = learnsPrompts ? promptTargets(targets) : 0;
    for (const { targets } of sequences) for (const target of targets!) if (target !== NO_TARGET) labels++;
  }
  const inputWidth = input ? input.length + virtualTokens : 0;
  const leading = input ? 0 : virtualTokens;
  const widths = sequences.map(({ ids }) => ids.length + leading);
  const size: ExampleSize = { widths, inputWidth, labels, tokens };
  if (isPair) size.isPair = true;
  if (firstVirtual === null || input || (sequences.length > 1 && !isPair)) return size;
  const shareable = sequences.map(({ ids, targets }) => {
    const whole = new Int32Array(leading + ids.length);
    for (let t = 0; t < leading; t++) whole[t] = firstVirtual + t;
    whole.set(ids, leading);
    const labelled = targets ? promptTargets(targets) : ids.length - 1;
    const same = invocation ? firstActiveInExample({ ids, targets }, invocation) : labelled;
    return { ids: whole, limit: leading + Math.max(0, Math.min(labelled, same)) };
  });
  return { ...size, shareable };
}

/**
 * The index of the first position at which the adapter is active in a sequence of a language model: that of the last occurrence of the
 * invocation, which the last target, the token after `ids`, may complete. Without an occurrence: the number of positions.
 */
export function firstActiveInExample(
  { ids, targets }: { ids: Int32Array; targets?: Int32Array | undefined },
  invocation: readonly number[],
): number {
  const whole = new Int32Array(ids.length + 1).fill(targets?.at(-1) ?? NO_TARGET, ids.length);
  whole.set(ids);
  return lastMatch(whole, invocation) ?? ids.length;
}

/** Number of positions before the first target, each of which predicts a token of the prompt. */
export const promptTargets = (targets: Int32Array): number => {
  const first = targets.findIndex((target) => target !== NO_TARGET);
  return first === -1 ? targets.length : first;
};
