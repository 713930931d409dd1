import type { Command } from 'commander';
import { addAuditVerbs } from './admin/audit.ts';
import { addBaseModelVerbs } from './admin/base-models.ts';
import { addKeyVerbs } from './admin/keys.ts';
import { addPeopleVerbs } from './admin/people.ts';
import { addScimVerbs } from './admin/scim.ts';
import { addSecretVerbs } from './admin/secrets.ts';
import { addTeamVerbs as addAdminTeamVerbs } from './admin/teams.ts';
import { addPriceVerbs, addUsageVerbs } from './admin/usage.ts';
import { addOperatorKeyVerbs, addWorkerVerbs } from './admin/workers.ts';
import { addClientVerbs, describedProgram, exitCodes, serviceExamples } from './client-program.ts';
import { addCompletionVerb } from './completion.ts';
import { addGenerateVerb } from './local/generate.ts';
import { addInspectVerb } from './local/inspect.ts';
import { addMergeVerb } from './local/merge.ts';
import { addScoreVerb } from './local/score.ts';
import { addTrainVerb } from './local/train.ts';
import { noun } from './verb.ts';

/** Every verb of `graft`, in the order of its help. What a verb needs is loaded when it runs. */
export function createProgram(): Command {
  const program = describedProgram(
    'Fine-tune language models with small adapters: on a Graft service, or right here.',
  );
  program.addHelpText(
    'after',
    `${serviceExamples}
Without any service:
  $ graft train --model smollm2-135m-instruct --data train.jsonl --output my-adapter
  $ graft generate --model smollm2-135m-instruct --adapter my-adapter -m "Hello!"

${exitCodes}`,
  );
  addClientVerbs(program);
  program.commandsGroup('On this machine, without a service:');
  addTrainVerb(program);
  addScoreVerb(program);
  addGenerateVerb(program);
  addMergeVerb(program);
  addInspectVerb(program);
  addCompletionVerb(program);
  program.commandsGroup("For the service's operator:");
  const admin = noun(
    program,
    'admin',
    'teams, people, keys and workers, straight in the database (DATABASE_URL, GRAFT_DATA_DIR)',
  );
  addAdminTeamVerbs(admin);
  addPeopleVerbs(admin);
  addScimVerbs(admin);
  addKeyVerbs(admin);
  addOperatorKeyVerbs(admin);
  addWorkerVerbs(admin);
  addBaseModelVerbs(admin);
  addSecretVerbs(admin);
  addAuditVerbs(admin);
  addUsageVerbs(admin);
  addPriceVerbs(admin);
  return program;
}
