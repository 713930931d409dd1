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
export function mergesByScore(tokens: readonly string[], scores: ArrayLike<number>): [string, string][] {
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
