/** A text as one word of a POSIX shell: in single quotes every character but the quote is literal. */
export const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
