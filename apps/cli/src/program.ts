import { Command } from 'commander';
import { addBaseModelVerbs } from './admin/base-models.ts';
import { addKeyVerbs } from './admin/keys.ts';
import { addPeopleVerbs } from './admin/people.ts';
import { addTeamVerbs as addAdminTeamVerbs } from './admin/teams.ts';
import { addPriceVerbs, addUsageVerbs } from './admin/usage.ts';
import { addOperatorKeyVerbs, addWorkerVerbs } from './admin/workers.ts';
import { addCompletionVerb } from './completion.ts';
import { addImportVerbs } from './import/import-openai.ts';
import { addGenerateVerb } from './local/generate.ts';
import { addInspectVerb } from './local/inspect.ts';
import { addMergeVerb } from './local/merge.ts';
import { addScoreVerb } from './local/score.ts';
import { addTrainVerb } from './local/train.ts';
import { addAdaptersVerbs } from './remote/adapters/adapters.ts';
import { addCheckpointsVerbs } from './remote/adapters/checkpoints.ts';
import { addChatVerb } from './remote/chat.ts';
import { addEstimateVerb } from './remote/estimate.ts';
import { addFilesVerbs } from './remote/files.ts';
import { addJobsVerbs } from './remote/jobs.ts';
import { addLoginVerbs } from './remote/login.ts';
import { addModelsVerbs } from './remote/models.ts';
import { addIntegrationsVerbs } from './team/integrations.ts';
import { addJoinVerb } from './team/join.ts';
import { addSessionVerbs } from './team/sessions.ts';
import { addTeamVerbs } from './team/team.ts';
import { addUsageVerb } from './team/usage.ts';
import { addWebhooksVerbs } from './team/webhooks.ts';
import { addWhoamiVerb } from './team/whoami.ts';
import { noun } from './verb.ts';

/** Every verb of `graft`, in the order of its help. What a verb needs is loaded when it runs. */
export function createProgram(): Command {
  const program = new Command('graft')
    .description('Fine-tune language models with small adapters: on a Graft service, or right here.')
    // Errors come back to main.ts, which chooses the exit code.
    .exitOverride()
    .showHelpAfterError('(graft --help lists the verbs)')
    .version('0.1.0')
    .addHelpText(
      'after',
      `
On a service (GRAFT_BASE_URL and GRAFT_API_KEY, or \`graft login\`):
  $ graft jobs create --model smollm2-135m-instruct --data train.jsonl --watch
  $ graft adapters download ftjob-… --output my-adapter
  $ graft chat --model ft:… -m "Hello!"

Without any service:
  $ graft train --model smollm2-135m-instruct --data train.jsonl --output my-adapter
  $ graft generate --model smollm2-135m-instruct --adapter my-adapter -m "Hello!"

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Every verb has --help, with an example, and --json.`,
    );
  program.commandsGroup('On a service:');
  addLoginVerbs(program);
  addJoinVerb(program);
  addWhoamiVerb(program);
  addFilesVerbs(program);
  addEstimateVerb(program);
  addJobsVerbs(program);
  addCheckpointsVerbs(program);
  addAdaptersVerbs(program);
  addModelsVerbs(program);
  addChatVerb(program);
  addTeamVerbs(program);
  addSessionVerbs(program);
  addWebhooksVerbs(program);
  addIntegrationsVerbs(program);
  addUsageVerb(program);
  addImportVerbs(program);
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
  addKeyVerbs(admin);
  addOperatorKeyVerbs(admin);
  addWorkerVerbs(admin);
  addBaseModelVerbs(admin);
  addUsageVerbs(admin);
  addPriceVerbs(admin);
  return program;
}
