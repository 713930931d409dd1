import { GraftError } from '../errors.ts';
import type { GgufMetadata } from './metadata.ts';

/** GGUF's types of tokens, an enum of llama.cpp's header. */
export const NORMAL = 1;
export const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const UNUSED = 5;
export const BYTE = 6;

interface SpecialToken {
  id: number;
  content: string;
}

/** Null for a token that the file does not name. */
export interface SpecialTokens {
  bos: SpecialToken | null;
  eos: SpecialToken | null;
  unk: SpecialToken | null;
  pad: SpecialToken | null;
}

/** Throws GraftError `invalid_gguf` for an id that no token has. */
export function specialTokens(
  path: string,
  metadata: GgufMetadata,
  tokens: readonly string[],
): SpecialTokens {
  const read = (key: string): SpecialToken | null => {
    const id = metadata.count(`tokenizer.ggml.${key}`);
    if (id === undefined) return null;
    const content = tokens[id];
    if (content !== undefined) return { id, content };
    throw new GraftError(
      'invalid_gguf',
      `${path}: "tokenizer.ggml.${key}" is ${id}, but there are ${tokens.length} tokens`,
    );
  };
  return {
    bos: read('bos_token_id'),
    eos: read('eos_token_id'),
    unk: read('unknown_token_id'),
    pad: read('padding_token_id'),
  };
}

/** Token → id. Without a prototype, so that `__proto__` is a normal token. */
export function idsOf(tokens: readonly string[]): Record<string, number> {
  const ids: Record<string, number> = Object.create(null);
  tokens.forEach((token, id) => {
    ids[token] ??= id;
  });
  return ids;
}
