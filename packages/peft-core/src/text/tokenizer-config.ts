/** Text of a token in tokenizer_config.json: a string, or an object with `content`. */
export function tokenText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (
    typeof value === 'object' &&
    value !== null &&
    'content' in value &&
    typeof value.content === 'string'
  ) {
    return value.content;
  }
  return null;
}

/** `chat_template` of tokenizer_config.json: a template, or a list of named ones. */
export function defaultTemplate(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const named = value.find((each) => each?.name === 'default');
  return typeof named?.template === 'string' ? named.template : null;
}
