import type { LikelyTokens } from '@graft/service/channel';

/** UTF-8 bytes of a token's text. Null if the text ends within a character. */
const bytesOf = (token: string): number[] | null =>
  token.includes('\uFFFD') ? null : [...Buffer.from(token, 'utf8')];

/** Log probabilities in the format of chat completions; null if not requested. */
export function chatLogprobs(tokens: readonly LikelyTokens[] | null) {
  if (tokens === null) return null;
  const likelihood = ({ token, logprob }: Omit<LikelyTokens, 'top'>) => ({
    token,
    logprob,
    bytes: bytesOf(token),
  });
  const content = tokens.map(({ top, ...taken }) => ({
    ...likelihood(taken),
    top_logprobs: top.map(likelihood),
  }));
  return { content, refusal: null };
}

/** Log probabilities in the format of completions; `from` is the offset of the first token in the text. */
export function completionLogprobs(tokens: readonly LikelyTokens[] | null, from = 0) {
  if (tokens === null) return null;
  let offset = from;
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: tokens.map(({ token }) => {
      const begin = offset;
      offset += token.length;
      return begin;
    }),
  };
}
