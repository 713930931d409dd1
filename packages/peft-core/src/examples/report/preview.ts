import { PART_ROLES, type PartRole } from '../../chat/message-parts.ts';
import { shortened } from '../../errors.ts';
import { commonLength } from '../../text/common-length.ts';
import type { Tokenizer } from '../../text/index.ts';
import { StreamDecoder } from '../../text/stream-decoder.ts';
import { formatOf, type RawExample } from '../formats/formats.ts';
import type { TokenizeOptions } from '../formats/reading.ts';
import { NO_TARGET, type Sequence, type TrainingExample } from '../training-example.ts';

/** Maximum number of tokens shown per sequence. */
const MAX_TOKENS = 512;
/** Number of tokens decoded before the first one shown. */
const BEFORE = 8;
/** Maximum number of characters of a token, and of a label. */
const MAX_CHARACTERS = 200;
/** Maximum number of messages listed whose reasoning is left out. */
const MAX_DROPPED = 100;

export interface PreviewToken {
  id: number;
  /** Empty for a token with only the beginning of a character: the token that completes the character has its whole text. */
  text: string;
  /** True if the loss is computed on it: the model learns to generate it, or, for word labels, to label it. */
  learnt: boolean;
  /** In a chat: `system`, `user`, `assistant`, `reasoning`, `tool`, or `template` for what the template writes. Null in other formats. */
  role: PartRole | null;
  /** Weight in the loss: that of its message times that of the example; 0 if it is not trained on. */
  weight: number;
}

export interface PreviewSequence {
  /**
   * `input` and `target` are an encoder-decoder's; `prompt`, `chosen` and `rejected` are a pair's, whose completions the model sees after
   * the prompt each; everything else is `text`.
   */
  role: 'text' | 'input' | 'target' | 'prompt' | 'chosen' | 'rejected';
  tokens: PreviewToken[];
  /** Number of tokens that are not shown. */
  left_out: number;
}

export interface ExamplePreview {
  line: number;
  sequences: PreviewSequence[];
  /** Label of the whole text; null for examples without one. */
  label: string | null;
  weight: number;
  /** Numbers of the messages, from 0, whose reasoning the chat template leaves out of the text; at most a hundred. */
  dropped_reasoning: number[];
}

/** An example, read with `options`, as its tokens with the loss mask, at most 512 tokens per sequence. `place`: which of the line's examples it is. */
export function previewOf(
  tokenizer: Tokenizer,
  raw: RawExample,
  example: TrainingExample,
  { options, ...place }: { index: number; count: number; options: TokenizeOptions },
): ExamplePreview {
  const format = formatOf(raw.format);
  const { weight = 1 } = example;
  const shown = (
    role: PreviewSequence['role'],
    ids: readonly number[],
    learnt: (at: number) => boolean,
    { roles, weights }: Pick<Sequence, 'roles' | 'weights'> = {},
    from = 0,
  ): PreviewSequence => {
    const texts = tokenTexts(tokenizer, ids, from);
    const tokens = texts.map((text, i) => {
      const at = from + i;
      return {
        id: ids[at]!,
        text,
        learnt: learnt(at),
        role: roles ? PART_ROLES[roles[at]!]! : null,
        // Weights are those of targets, which are one token further on.
        weight: learnt(at) ? rounded(weight * (weights?.[at - 1] ?? 1)) : 0,
      };
    });
    return { role, tokens, left_out: ids.length - from - tokens.length };
  };
  /** Prefix that both completions of a pair follow, then each of them. */
  const pair = (): PreviewSequence[] => {
    const parts = example.sequences.map((sequence) => {
      const { ids, targets } = sequence;
      const isLearnt = (at: number) => at > 0 && targets![at - 1] !== NO_TARGET;
      return { sequence, ids: [...ids, targets!.at(-1)!], isLearnt, first: firstTarget(targets!) };
    });
    const [chosen, rejected] = parts as [(typeof parts)[0], (typeof parts)[0]];
    const common = Math.min(commonLength(chosen.ids, rejected.ids), chosen.first, rejected.first);
    const { roles } = chosen.sequence;
    return [
      shown('prompt', chosen.ids.slice(0, common), () => false, roles ? { roles } : {}),
      shown('chosen', chosen.ids, chosen.isLearnt, chosen.sequence, common),
      shown('rejected', rejected.ids, rejected.isLearnt, rejected.sequence, common),
    ];
  };
  const own = (sequence: Sequence): PreviewSequence[] => {
    const { ids, input, targets } = sequence;
    if (!targets) return [shown('text', [...ids], () => false)];
    const isTarget = (at: number) => targets[at] !== undefined && targets[at] !== NO_TARGET;
    if (input) return [shown('input', [...input], () => false), shown('target', [...targets], isTarget)];
    // A word's target is the class of the same token.
    if (format.targets === 'classes') return [shown('text', [...ids], isTarget)];
    // Position t predicts token t + 1, and the last token is only a target.
    return [shown('text', [...ids, targets.at(-1)!], (at) => at > 0 && isTarget(at - 1), sequence)];
  };
  const sequences = format.isPair ? pair() : example.sequences.flatMap(own);
  const label = format.shownLabel?.(raw).slice(0, MAX_CHARACTERS) ?? null;
  const dropped = format.droppedReasoning?.(raw, { tokenizer, options }, place) ?? [];
  return { line: raw.line, sequences, label, weight, dropped_reasoning: dropped.slice(0, MAX_DROPPED) };
}

/** Weights of messages are float32 in batches. */
const rounded = (weight: number) => Number(weight.toPrecision(6));

/** Index of the first token that is a target; `targets` are one token before those that they predict. */
const firstTarget = (targets: Int32Array): number => 1 + targets.findIndex((target) => target !== NO_TARGET);

/**
 * Text that each of at most 512 tokens from `from` adds. A character of several tokens is the text of its last token; the other tokens
 * have none.
 */
function tokenTexts(tokenizer: Tokenizer, ids: readonly number[], from: number): string[] {
  const decoder = new StreamDecoder((some) => tokenizer.decode(some));
  // Some decoders treat the first token of a text differently.
  for (const id of ids.slice(Math.max(0, from - BEFORE), from)) decoder.push(id);
  const texts = ids.slice(from, from + MAX_TOKENS).map((id) => decoder.push(id));
  // If tokens are left out, so is a character that one of them completes.
  if (texts.length > 0 && from + texts.length === ids.length) texts[texts.length - 1] += decoder.end();
  return texts.map((text) => shortened(text, MAX_CHARACTERS));
}
