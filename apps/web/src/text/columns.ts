/** A mapping of columns as a text such as "prompt=question, completion=answer". */
export const mappingText = (columns: Record<string, string>): string =>
  Object.entries(columns)
    .map((pair) => pair.join('='))
    .join(', ');

/** The mapping of columns in such a text; null if there is none. */
export function mappingIn(text: string): Record<string, string> | null {
  const pairs = text.split(',').map((pair) => pair.split('=').map((part) => part.trim()));
  return pairs.every((pair) => pair.length === 2 && pair.every(Boolean)) ? Object.fromEntries(pairs) : null;
}

/** Fault of a text that should be empty or a mapping. */
export const mappingFault = (text: string): string | null =>
  text.trim() === '' || mappingIn(text) ? null : 'Must be field=column, separated by commas.';
