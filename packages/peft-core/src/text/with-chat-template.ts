import { OWN_TEMPLATE } from '../schema/template-kwargs.ts';
import { Tokenizer, type TokenizerFiles } from './tokenizer.ts';

/** A model's files with another chat template; unchanged without one. */
export function withChatTemplate(
  files: TokenizerFiles,
  chatTemplate: string | null | undefined,
): TokenizerFiles {
  if (!chatTemplate) return files;
  const { tokenizerJson, tokenizerConfig } = files;
  return { tokenizerJson, tokenizerConfig, chatTemplate };
}

/**
 * The tokenizer of a job or an adapter, which may have its own chat template. Throws `unsupported_tokenizer` and
 * `invalid_chat_template`; `param` of the errors of that template is the training option.
 */
export function loadTokenizerWith(files: TokenizerFiles, chatTemplate: string | null | undefined): Tokenizer {
  return new Tokenizer(withChatTemplate(files, chatTemplate), chatTemplate ? OWN_TEMPLATE : undefined);
}
