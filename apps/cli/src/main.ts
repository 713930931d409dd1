import { CommanderError } from 'commander';
import { loadSettings } from '../../../scripts/bootstrap/load-settings.mjs';
import { printable } from './draw/printable.ts';
import { explainError } from './errors.ts';
import { createProgram } from './program.ts';

// `graft files list | head` closes the pipe early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  takeSettings();
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // commander has written its message; it exits with 0 after --help and --version.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    const { message, exitCode } = explainError(error);
    process.stderr.write(`graft: ${printable(message)}\n`);
    if (process.argv.includes('--debug') && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    process.exitCode = exitCode;
  }
}

/** .env may be for the operator's eyes alone: other users of the command have settings of their own. */
function takeSettings(): void {
  try {
    loadSettings();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}
