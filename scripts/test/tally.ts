/** How many tests passed, failed and were skipped; every part of a run adds to one of these. */
export type Tally = { passed: number; failed: number; skipped: number };

/** The run's last line, in the form that CI systems read. */
export function closingLine(tally: Tally): string {
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : '';
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`;
}
