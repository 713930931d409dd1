/** How many tests passed, failed and were skipped; every part of a run adds to one of these. */
export type Tally = { passed: number; failed: number; skipped: number };

/** How a run ends: the tables that its tests drew, then the count in the form that CI systems read. */
export function closingLines(run: { tally: Tally; tables: string; milliseconds: number }): string {
  const { passed, failed, skipped } = run.tally;
  const minutes = (run.milliseconds / 60_000).toFixed(1);
  return [
    `\nin ${minutes} minutes`,
    ...(run.tables === '' ? [] : [`\n${run.tables}\n`]),
    `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  ].join('\n');
}
