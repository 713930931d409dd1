// The installable command's entry: scripts/cli/pack-client.ts bundles it.
import { createClientProgram } from './client-program.ts';
import { runProgram } from './run-program.ts';

await runProgram(createClientProgram);
