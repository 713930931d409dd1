/** The words of a text, separated by spaces or commas. */
export const splitWords = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
