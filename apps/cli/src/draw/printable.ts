// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control characters.
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/**
 * Replaces control characters in untrusted text (of a model, a file name, an event): on a terminal they could move the cursor or hide
 * text. Line feeds and tabs stay.
 */
export const printable = (text: string): string => text.replace(controls, '\ufffd');

/** Replaces control characters if the stream is a terminal. A file or a pipe gets the text unchanged. */
export const printableOn = (stream: { isTTY?: boolean }, text: string): string =>
  stream.isTTY ? printable(text) : text;
