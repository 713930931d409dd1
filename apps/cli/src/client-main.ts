// Entry of the installable command, which scripts/cli/pack-client.ts bundles.
import { createClientProgram } from './client-program.ts';
import { runProgram } from './run-program.ts';

await runProgram(createClientProgram);
