// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/**
 * Text of others (a model, a file's name, an event) without control characters, which on a terminal could move the
 * cursor, hide text or worse. Line feeds and tabs stay.
 */
export const printable = (text: string): string => text.replace(controls, '\ufffd');

/** The same where the text goes: a file or a pipe gets it as it is. */
export const printableOn = (stream: { isTTY?: boolean }, text: string): string =>
  stream.isTTY ? printable(text) : text;
