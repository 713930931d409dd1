import { loadSettings } from '../../../scripts/bootstrap/load-settings.mjs';
import { createProgram } from './program.ts';
import { runProgram } from './run-program.ts';

await runProgram(() => {
  takeSettings();
  return createProgram();
});

/** Loads .env. Ignores it where only the operator may read it; other users have their own settings. */
function takeSettings(): void {
  try {
    loadSettings();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}
