import { join } from 'node:path';
import { environmentFor } from '@graft/peft-core/precision';
import { runForResult, typeScript } from '../../measuring/processes.ts';
import { isChosen } from '../words.ts';
import { optionFaults, preferenceFaults, preferenceVerdicts } from './check.ts';
import { preferenceGrid } from './grid.ts';
import { isSameTrial, readPreferenceResults } from './results.ts';
import { optionsTable, sharesTable } from './table.ts';
import { preferenceTasks } from './tasks.ts';

/** The first of these words that names neither a task nor a method; undefined: all do. */
export const strayWord = (words: string[]): string | undefined =>
  words.find((word) => !preferenceGrid.some((trial) => isChosen(trial, [word])));

/** Trains what the grid lacks. */
export async function makePreferenceRuns(words: string[]): Promise<void> {
  await runForResult(typeScript(join(import.meta.dirname, 'run-trials.ts'), environmentFor('auto'), words));
}

/** The tables of docs/auto.md, by the name of their section. */
export function preferenceTables(words: string[] = []): Record<string, string> {
  const lines = readPreferenceResults();
  const verdicts = preferenceVerdicts(lines).filter((verdict) => isChosen(verdict, words));
  return {
    'preferences from a version': sharesTable(verdicts, 'version'),
    'preferences from the base model': sharesTable(verdicts, 'base'),
    'options of preferences': optionsTable(lines.results.filter((result) => isChosen(result, words))),
  };
}

/** Prints the tables. Returns what does not hold, a line each. */
export function checkPreferences(words: string[]): string[] {
  for (const table of Object.values(preferenceTables(words))) console.log(table);
  const { starts, results } = readPreferenceResults();
  const chosen = { starts, results: results.filter((result) => isChosen(result, words)) };
  return [...preferenceFaults(preferenceVerdicts(chosen)), ...optionFaults(chosen)];
}

/** Prints the tasks, and how much of each was tried. */
export function listPreferences(): void {
  const { results } = readPreferenceResults();
  for (const [name, { about, use }] of Object.entries(preferenceTasks)) {
    const trials = preferenceGrid.filter(({ task }) => task === name);
    const made = trials.filter((trial) => results.some((result) => isSameTrial(result, trial)));
    console.log(`${name}: ${about} (smollm2, ${use}): ${made.length} of ${trials.length} trials`);
  }
}
