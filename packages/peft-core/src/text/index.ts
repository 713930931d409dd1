/** Text to tokens and back: a model's tokenizer and chat template. Loads no TensorFlow. */
export type { ChatTemplateOptions } from './chat-template.ts';
export { fewestTokensBy } from './fewest-tokens.ts';
export type { ChatMessage } from './plain-expressions.ts';
export type { StreamDecoder } from './stream-decoder.ts';
export { loadTokenizer, strayToken, type Tokenizer, type TokenizerFiles } from './tokenizer.ts';
