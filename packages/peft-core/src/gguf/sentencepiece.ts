import { GraftError } from '../errors.ts';
import type { GgufMetadata } from './metadata.ts';
import { BYTE, idsOf, NORMAL, type SpecialTokens, UNKNOWN } from './token-types.ts';

/** The character that stands for a space within tokens. */
export const MARK = '▁';

export interface VocabularyParts {
  /** In tokenizer.json's spelling. */
  tokens: readonly string[];
  normalizer: object | null;
  preTokenizer: object | null;
  decoder: object;
  model: object;
  /** True if a text starts with the bos token where the file does not specify it. */
  addsBos: boolean;
}

/**
 * A SentencePiece vocabulary with scores, as the BPE model that transformers makes of it. Files name no normalizer: as in llama.cpp, a
 * mark precedes the text and what follows a special token, unless `add_space_prefix` is false (decision 56). Throws GraftError `invalid_gguf`.
 */
export function sentencePiece(
  path: string,
  metadata: GgufMetadata,
  names: readonly string[],
  types: readonly number[],
  { unk }: SpecialTokens,
): VocabularyParts {
  // llama.cpp's converter writes runs of marks as spaces.
  const tokens = names.map((name) => (/^ +$/.test(name) ? MARK.repeat(name.length) : name));
  const ids = idsOf(tokens);
  const merges =
    metadata.strings('tokenizer.ggml.merges') ??
    mergesByScore(tokens, scoresOf(path, metadata, tokens.length, types));
  const hasPrefix = metadata.boolean('tokenizer.ggml.add_space_prefix') ?? true;
  const toMarks = { type: 'Replace', pattern: { String: ' ' }, content: MARK };
  const toText = [
    { type: 'Replace', pattern: { String: MARK }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  const withoutFirst = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  return {
    tokens,
    normalizer: hasPrefix
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: MARK }, toMarks] }
      : toMarks,
    preTokenizer: null,
    decoder: { type: 'Sequence', decoders: hasPrefix ? [...toText, withoutFirst] : toText },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unk?.content ?? tokens[types.indexOf(UNKNOWN)] ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: types.includes(BYTE),
      ignore_merges: false,
      vocab: ids,
      merges,
    },
    addsBos: true,
  };
}

/** Scores of normal tokens. The others have 0 in SentencePiece, for which the converter writes a number below all scores. */
function scoresOf(
  path: string,
  metadata: GgufMetadata,
  count: number,
  types: readonly number[],
): Float64Array {
  const key = 'tokenizer.ggml.scores';
  const scores = metadata.required(key, metadata.numbers(key));
  if (scores.length !== count || scores.some((score) => !Number.isFinite(score))) {
    throw new GraftError(
      'invalid_gguf',
      `${path}: "${key}" does not have a finite number for each of the ${count} tokens`,
    );
  }
  return Float64Array.from(scores, (score, id) => ((types[id] ?? NORMAL) === NORMAL ? score : 0));
}

interface Pair {
  left: string;
  right: string;
  /** Length of `left` in code points. */
  at: number;
  /** Length of both in code points. */
  length: number;
}

/**
 * Merges of a SentencePiece vocabulary: every pair of tokens that forms a token, the highest score of the formed token first, then the
 * longest left part, then the longest right part. Source: transformers, `generate_merges`. Takes as many look-ups as the tokens have
 * characters, and a sort.
 * `scores`: by id. Of equal tokens, the first counts.
 */
function mergesByScore(tokens: readonly string[], scores: ArrayLike<number>): [string, string][] {
  const known = new Set(tokens);
  const seen = new Set<string>();
  const order = tokens.flatMap((token, id) => (seen.size === seen.add(token).size ? [] : [id]));
  order.sort((a, b) => scores[b]! - scores[a]!);
  const merges: [string, string][] = [];
  for (let from = 0; from < order.length; ) {
    const score = scores[order[from]!];
    const pairs: Pair[] = [];
    let to = from;
    while (to < order.length && scores[order[to]!] === score) addPairs(tokens[order[to++]!]!, known, pairs);
    if (to - from > 1) pairs.sort((a, b) => b.at - a.at || b.length - b.at - (a.length - a.at));
    for (const { left, right } of pairs) merges.push([left, right]);
    from = to;
  }
  return merges;
}

/** Adds the pairs that form a token, the longest left part first. */
function addPairs(token: string, known: ReadonlySet<string>, pairs: Pair[]): void {
  const characters = [...token];
  let split = token.length;
  for (let at = characters.length - 1; at > 0; at--) {
    split -= characters[at]!.length;
    const right = token.slice(split);
    if (!known.has(right)) continue;
    const left = token.slice(0, split);
    if (known.has(left)) pairs.push({ left, right, at, length: characters.length });
  }
}
