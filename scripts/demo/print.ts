const bold = (text: string) => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text);

export function heading(text: string): void {
  console.log(`\n${bold(text)}`);
}

/** Twenty cells, filled to `share` (0…1). */
export function bar(share: number): string {
  const filled = Math.round(share * 20);
  return '█'.repeat(filled) + '░'.repeat(20 - filled);
}

export function table(rows: [string, string][]): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) console.log(`   ${name.padEnd(width)}  ${value}`);
}

/** One question with the expected answer and what both models said, each cut to a line. */
export function sideBySide(question: string, expected: string, before: string, after: string): void {
  const line = (text: string) => {
    const flat = text.replaceAll(/\s+/g, ' ');
    return flat.length > 84 ? `${flat.slice(0, 83)}…` : flat;
  };
  console.log(`   ${bold(line(question))}`);
  table([
    ['expected', line(expected)],
    ['before', line(before)],
    ['after', line(after) + (after === expected ? '  ✓' : '  ✗')],
  ]);
  console.log();
}
