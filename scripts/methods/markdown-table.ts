/** Merges rows that differ only in the first cell, in the order of their first rows. */
export function joinRows(rows: readonly string[][], separator = ', '): string[][] {
  const firsts = new Map<string, string[]>();
  for (const [first = '', ...cells] of rows) {
    const key = JSON.stringify(cells);
    firsts.set(key, [...(firsts.get(key) ?? []), first]);
  }
  return [...firsts].map(([key, names]) => [names.join(separator), ...(JSON.parse(key) as string[])]);
}

/** A Markdown table, with a line for each row; every line ends with a newline. */
export const plainTable = (
  header: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
): string => [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
