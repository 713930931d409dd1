/** A word of a shell: within single quotes it takes everything for itself but a single quote. */
export const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
