/** Text to tokens and back: a model's tokenizer and chat template. Loads no TensorFlow. */
export { type PackedTokenizer, packTokenizer, unpackTokenizer } from './packed-tokenizer.ts';
export { splitWords, type WordOfText } from './split-words.ts';
export type { StreamDecoder } from './stream-decoder.ts';
export {
  type EncodeOptions,
  loadTokenizer,
  strayToken,
  type Tokenizer,
  type TokenizerFiles,
} from './tokenizer.ts';
export { loadTokenizerWith, withChatTemplate } from './with-chat-template.ts';
