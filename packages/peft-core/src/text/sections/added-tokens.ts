/** An entry of tokenizer.json's `added_tokens`: a token that is found in the text before any other processing. */
export interface AddedToken {
  id: number;
  content: string;
  single_word?: boolean;
  lstrip?: boolean;
  rstrip?: boolean;
  normalized?: boolean;
  special?: boolean;
}

/**
 * Which special tokens in a text are encoded as tokens: all of them; none, so that they are plain text; or all except those with one of
 * these places (ascending, in UTF-16 units of the text) between their first and last characters, or before a single-unit token.
 */
export type SpecialTokens = 'all' | 'none' | readonly number[];

/** Finds added tokens in a text: leftmost first, and the longest of those that start at the same place. */
export class AddedTokens {
  readonly #byText: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | null;

  /** `byText`: tokens by the text to find. */
  constructor(byText: ReadonlyMap<string, AddedToken>) {
    this.#byText = byText;
    this.#pattern = anyOf([...byText.keys()]);
  }

  get isEmpty(): boolean {
    return this.#pattern === null;
  }

  /** Calls `onToken` for each token found. Skips special tokens, with ids in `special`, where they are plain text. */
  find(
    text: string,
    tokens: SpecialTokens,
    special: ReadonlySet<number>,
    onToken: (at: number, end: number, token: AddedToken) => void,
  ): void {
    const pattern = this.#pattern;
    if (!pattern) return;
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const { 0: found, index } = match;
      const token = this.#byText.get(found)!;
      const end = index + found.length;
      if (special.has(token.id) && isPlainText(tokens, index, end)) pattern.lastIndex = index + 1;
      else onToken(index, end, token);
    }
  }
}

function isPlainText(tokens: SpecialTokens, from: number, to: number): boolean {
  if (typeof tokens === 'string') return tokens === 'none';
  // The place of a single-character token is before it.
  const next = tokens[countUpTo(tokens, to - from === 1 ? from - 1 : from)];
  return next !== undefined && next < to;
}

/** Number of ascending `values` that are at most `limit`. */
export function countUpTo(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A global pattern that matches any of these texts, longest first; null for none. */
export function anyOf(texts: readonly string[]): RegExp | null {
  const escaped = texts
    .filter(Boolean)
    .sort((a, b) => b.length - a.length)
    .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return escaped.length === 0 ? null : new RegExp(escaped.join('|'), 'g');
}
