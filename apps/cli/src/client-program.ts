import { Command } from 'commander';
import { addAdminVerbs } from './admin/admin.ts';
import { addCompletionVerb } from './completion.ts';
import { addImportVerbs } from './import/import-openai.ts';
import { addAdaptersVerbs } from './remote/adapters/adapters.ts';
import { addCheckpointsVerbs } from './remote/adapters/checkpoints.ts';
import { addExportsVerbs } from './remote/adapters/exports.ts';
import { addPublicationsVerbs } from './remote/adapters/publications.ts';
import { addChatVerb } from './remote/chat.ts';
import { addEstimateVerb } from './remote/estimate.ts';
import { addFilesVerbs } from './remote/files.ts';
import { addJobsVerbs } from './remote/jobs.ts';
import { addLoginVerbs } from './remote/login.ts';
import { addModelsVerbs } from './remote/models.ts';
import { addClassifyVerb } from './remote/texts/classify.ts';
import { addEmbedVerb } from './remote/texts/embed.ts';
import { addWhoamiVerb } from './remote/whoami.ts';
import { addDeployTargetsVerbs } from './team/deploy-targets.ts';
import { addIntegrationsVerbs } from './team/integrations.ts';
import { addJoinVerb } from './team/join.ts';
import { addSessionVerbs } from './team/sessions.ts';
import { addTeamVerbs } from './team/team.ts';
import { addUsageVerb } from './team/usage.ts';
import { addWebhooksVerbs } from './team/webhooks.ts';

/** The installable command: `graft` with the verbs that use a service. */
export function createClientProgram(): Command {
  const program = describedProgram('Fine-tune language models with adapters (PEFT) on a Graft service.');
  program.addHelpText('after', `${serviceExamples}\n${exitCodes}`);
  addClientVerbs(program);
  addCompletionVerb(program);
  addAdminVerbs(program);
  return program;
}

export const serviceExamples = `
With a service (set GRAFT_BASE_URL and GRAFT_API_KEY, or run \`graft login\`):
  $ graft jobs create --model smollm2-135m-instruct --data train.jsonl --watch
  $ graft adapters download ftjob-… --output my-adapter
  $ graft chat --model ft:… -m "Hello!"
`;
export const exitCodes =
  'Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Every command has --help, with examples, and --json.';

export function describedProgram(description: string): Command {
  return (
    new Command('graft')
      .description(description)
      // run-program.ts catches the errors and chooses the exit code.
      .exitOverride()
      .showHelpAfterError('(graft --help lists the commands)')
      .version('1.0.0')
  );
}

/** Adds the verbs that use a service, in the order of the help. Each verb loads its dependencies when it runs. */
export function addClientVerbs(program: Command): void {
  program.commandsGroup('With a Graft service:');
  addLoginVerbs(program);
  addJoinVerb(program);
  addWhoamiVerb(program);
  addFilesVerbs(program);
  addEstimateVerb(program);
  addJobsVerbs(program);
  addCheckpointsVerbs(program);
  addAdaptersVerbs(program);
  addExportsVerbs(program);
  addPublicationsVerbs(program);
  addModelsVerbs(program);
  addChatVerb(program);
  addEmbedVerb(program);
  addClassifyVerb(program);
  addTeamVerbs(program);
  addSessionVerbs(program);
  addWebhooksVerbs(program);
  addIntegrationsVerbs(program);
  addDeployTargetsVerbs(program);
  addUsageVerb(program);
  addImportVerbs(program);
}
