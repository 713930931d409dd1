// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/**
 * Text that others wrote (a model, a file's name, an event) without control characters: on a terminal they could move the
 * cursor or hide text. Line feeds and tabs stay.
 */
export const printable = (text: string): string => text.replace(controls, '\ufffd');

/** The same on a terminal. A file or a pipe gets the text unchanged. */
export const printableOn = (stream: { isTTY?: boolean }, text: string): string =>
  stream.isTTY ? printable(text) : text;
