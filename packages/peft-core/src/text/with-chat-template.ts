import { GraftError } from '../errors.ts';
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
 * `invalid_chat_template`; `param` of the latter is the training option if the template is the job's.
 */
export function loadTokenizerWith(files: TokenizerFiles, chatTemplate: string | null | undefined): Tokenizer {
  try {
    return new Tokenizer(withChatTemplate(files, chatTemplate));
  } catch (error) {
    const isOwn = chatTemplate && error instanceof GraftError && error.code === 'invalid_chat_template';
    if (!isOwn) throw error;
    throw new GraftError(error.code, error.message, { param: 'training.chat_template', cause: error });
  }
}
