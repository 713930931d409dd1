import { type Command, CommanderError } from 'commander';
import { printable } from './draw/printable.ts';
import { explainError } from './errors.ts';

/** Runs the command line and sets the exit code of the process. */
export async function runProgram(create: () => Command): Promise<void> {
  // `graft files list | head` closes the pipe early, which is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  try {
    await create().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has printed its message. Its exit code is 0 after --help and --version.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
    } else {
      const { message, exitCode } = explainError(error);
      process.stderr.write(`graft: ${printable(message)}\n`);
      if (process.argv.includes('--debug') && error instanceof Error)
        process.stderr.write(`${error.stack}\n`);
      process.exitCode = exitCode;
    }
  }
}
