import type { TokenizerFiles } from '../../text/index.ts';

/** A vocabulary as XGrammar reads it. */
export interface GrammarVocabulary {
  /** Each token's text in tokenizer.json, by id; empty for tokens that no grammar allows. */
  tokens: string[];
  /** How texts stand for bytes: in a byte-level alphabet, with `▁` and `<0x0A>`, or as they are. */
  kind: 'byte_level' | 'byte_fallback' | 'raw';
}

interface TokenizerJson {
  model?: { vocab?: unknown };
  decoder?: unknown;
  added_tokens?: { id: number; content: string; special?: boolean }[];
}

/** `size`: rows of the embedding table. `marks`: special tokens that grammars may use. */
export function grammarVocabulary(
  { tokenizerJson }: Pick<TokenizerFiles, 'tokenizerJson'>,
  size: number,
  marks: readonly string[],
): GrammarVocabulary {
  const { model, decoder, added_tokens = [] } = tokenizerJson as TokenizerJson;
  const tokens = Array<string>(size).fill('');
  const vocab = model?.vocab;
  const entries: (readonly [string, number])[] = Array.isArray(vocab)
    ? vocab.map((entry, id) => [String(Array.isArray(entry) ? entry[0] : entry), id])
    : Object.entries((vocab ?? {}) as Record<string, number>);
  for (const [text, id] of entries) if (id < size) tokens[id] = text;
  for (const { id, content, special } of added_tokens)
    if (id < size) tokens[id] = special && !marks.includes(content) ? '' : content;
  return { tokens, kind: kindOf(JSON.stringify(decoder ?? null)) };
}

function kindOf(decoder: string): GrammarVocabulary['kind'] {
  if (decoder.includes('"ByteLevel"')) return 'byte_level';
  return /"ByteFallback"|"Metaspace"|"▁"/.test(decoder) ? 'byte_fallback' : 'raw';
}
