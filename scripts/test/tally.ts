/** The number of tests that passed, failed and were skipped; every part of a run adds to one tally. */
export type Tally = { passed: number; failed: number; skipped: number };

/** The end of a run: the tables that its tests drew, what it covered, then the count in the form that CI systems read. */
export function closingLines(run: {
  tally: Tally;
  tables: string;
  covered: readonly string[];
  milliseconds: number;
}): string {
  const { passed, failed, skipped } = run.tally;
  const minutes = (run.milliseconds / 60_000).toFixed(1);
  return [
    `\nin ${minutes} minutes`,
    ...(run.tables === '' ? [] : [`\n${run.tables}\n`]),
    ...(run.covered.length === 0 ? [] : [`covered: ${run.covered.join('; ')}`]),
    `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  ].join('\n');
}
