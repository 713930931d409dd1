const bold = (text: string) => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text);

export function heading(text: string): void {
  console.log(`\n${bold(text)}`);
}

/** Twenty cells, filled to `share` (0…1). */
export function bar(share: number): string {
  const filled = Math.round(share * 20);
  return '█'.repeat(filled) + '░'.repeat(20 - filled);
}

/** A share in words and as a bar, such as `██████████░░░░░░░░░░ 50 %  (20 of 40)`. */
export function score(right: number, of: number): string {
  return `${bar(right / of)} ${percent(right, of)} %  (${right} of ${of})`;
}

export function percent(right: number, of: number): number {
  return Math.round((100 * right) / of);
}

export function table(rows: [string, string][]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `   ${name.padEnd(width)}  ${value}`).join('\n');
}

/** One question with the expected answer and what both models said, each cut to a line. */
export function sideBySide(question: string, expected: string, before: string, after: string): string {
  const line = (text: string) => {
    const flat = text.replaceAll(/\s+/g, ' ');
    return flat.length > 84 ? `${flat.slice(0, 83)}…` : flat;
  };
  const answers = table([
    ['expected', line(expected)],
    ['before', line(before)],
    ['after', line(after) + (after === expected ? '  ✓' : '  ✗')],
  ]);
  return `   ${bold(line(question))}\n${answers}\n`;
}
