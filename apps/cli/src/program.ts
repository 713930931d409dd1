import type { Command } from 'commander';
import { addAdminVerbs } from './admin/admin.ts';
import { addDatabaseVerbs } from './admin/database/database.ts';
import { addClientVerbs, describedProgram, exitCodes, serviceExamples } from './client-program.ts';
import { addCompletionVerb } from './completion.ts';
import { addCheckVerb } from './local/check.ts';
import { addCombineVerb } from './local/combine.ts';
import { addExportVerb } from './local/export.ts';
import { addGenerateVerb } from './local/generate.ts';
import { addPublishVerb } from './local/hub/publish.ts';
import { addInspectVerb } from './local/inspect.ts';
import { addMergeVerb } from './local/merge.ts';
import { addScoreVerb } from './local/score.ts';
import { addTrainVerb } from './local/train.ts';

/** The program with every verb of `graft`, in the order of its help. Each verb loads its dependencies when it runs. */
export function createProgram(): Command {
  const program = describedProgram(
    'Fine-tune language models with adapters (PEFT), on a Graft service or on this machine.',
  );
  program.addHelpText(
    'after',
    `${serviceExamples}
Without a service:
  $ graft train --model smollm2-135m-instruct --data train.jsonl --output my-adapter
  $ graft generate --model smollm2-135m-instruct --adapter my-adapter -m "Hello!"

${exitCodes}`,
  );
  addClientVerbs(program);
  program.commandsGroup('On this machine, without a service:');
  addTrainVerb(program);
  addCheckVerb(program);
  addScoreVerb(program);
  addGenerateVerb(program);
  addExportVerb(program);
  addMergeVerb(program);
  addPublishVerb(program);
  addCombineVerb(program);
  addInspectVerb(program);
  addCompletionVerb(program);
  addDatabaseVerbs(addAdminVerbs(program));
  return program;
}
