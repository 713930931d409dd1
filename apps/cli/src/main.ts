import { loadSettings } from '../../../scripts/bootstrap/load-settings.mjs';
import { createProgram } from './program.ts';
import { runProgram } from './run-program.ts';

await runProgram(() => {
  takeSettings();
  return createProgram();
});

/** .env may be for the operator's eyes alone: other users of the command have settings of their own. */
function takeSettings(): void {
  try {
    loadSettings();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}
