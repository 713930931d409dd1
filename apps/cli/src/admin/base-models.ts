import type { BaseModelObject } from '@graft/client';
import type { Command } from 'commander';
import { words } from '../arguments.ts';
import { bytes, timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { noun } from '../verb.ts';
import type { Answer } from './answer.ts';
import { existingTeam } from './existing-team.ts';
import { type Admin, found, given, listVerb, operatorVerb, overApi, wholePage } from './operator-verb.ts';

export function addBaseModelVerbs(admin: Command): void {
  const verbs = 'base models: add, list, show, retry, hide, unhide, remove, allow, deny, forget';
  const models = noun(admin, 'base-models', verbs);

  const adds = 'add a base model, which the service fetches in the background and verifies';
  const examples = [
    'smollm2-360m --hub HuggingFaceTB/SmolLM2-360M-Instruct',
    'our-model --s3 s3://models/our-model --teams research,support',
  ];
  withSource(operatorVerb(models, 'add <id>', adds, ...examples)).action(
    overApi(async ({ admin }, { hub, revision, folder, s3, file, ...options }: SourceOptions, id: string) => {
      const teams = options.teams && (await teamIds(admin, options.teams));
      const value = await admin.baseModels.add({ id, ...given({ hub, revision, folder, s3, file, teams }) });
      return { value, text: queuedText(id) };
    }),
  );
  listVerb(
    models,
    'list all base models, with download progress and the teams that can use them',
    ({ baseModels }) => baseModels.list(wholePage),
    { ID: 'id', SOURCE: 'source', STATE: describeState, TEAMS: describeTeams },
    'No base models.',
  );
  addVerb(
    models,
    'show',
    'show one base model: progress, errors, digests of its files, teams',
    ({ baseModels }, id) => baseModels.retrieve(id),
    (model) => (paint) => table(['MODEL', model.id], describeModel(model), paint, ''),
  );
  addVerb(
    models,
    'retry',
    'resume a failed download of an added base model',
    ({ baseModels }, id) => baseModels.retry(id),
    ({ id }) => `${id} is queued again. Its progress: graft admin base-models show ${id}`,
  );
  addVerb(
    models,
    'hide',
    'hide an added base model from all teams; jobs and adapters keep working with it',
    ({ baseModels }, id) => baseModels.update(id, { hidden: true }),
    ({ id }) => `${id} is hidden.`,
  );
  addVerb(
    models,
    'unhide',
    'show a hidden base model again',
    ({ baseModels }, id) => baseModels.update(id, { hidden: false }),
    ({ id }) => `${id} is shown again.`,
  );
  addVerb(
    models,
    'remove',
    'remove an added base model that no unfinished job and no adapter uses',
    async ({ baseModels }, id) => ({ ...(await baseModels.delete(id)), removed: true }),
    ({ id }) => `Removed ${id}.`,
  );
  addVerb(
    models,
    'forget',
    'forget the recorded digests after you replaced the weights; the next use records the new ones',
    ({ baseModels }, id) => baseModels.forget(id),
    ({ id, forgotten }) =>
      forgotten ? `The weights of ${id} are recorded again when it is next used.` : `${id} was never used.`,
  );
  addAccessVerbs(models);
}

/** Adds a verb that takes the id of a base model. */
function addVerb<T extends { id: string }>(
  models: Command,
  name: string,
  summary: string,
  run: (admin: Admin, id: string) => Promise<T>,
  text: (value: T) => Answer['text'],
): void {
  operatorVerb(models, `${name} <id>`, summary, 'my-model').action(
    overApi(async ({ admin }, _options: object, id: string) => {
      const value = await known(id, run(admin, id));
      return { value, text: text(value) };
    }),
  );
}

function addAccessVerbs(models: Command): void {
  const allows = 'limit a base model to these teams and those allowed before';
  operatorVerb(models, 'allow <id> [teams...]', allows, 'my-model research', 'my-model --everyone')
    .option('--everyone', 'allow all teams, the default')
    .action(
      overApi(async ({ admin }, { everyone }: { everyone?: true }, id: string, teams: string[]) => {
        if (Boolean(everyone) === teams.length > 0) throw new UsageError('Name teams, or give --everyone.');
        const allowed = everyone ? null : await teamIds(admin, teams);
        return accessAnswer(await known(id, admin.baseModels.allow(id, allowed)));
      }),
    );

  const denies = 'hide a base model from these teams; jobs that were accepted continue';
  operatorVerb(models, 'deny <id> <teams...>', denies, 'my-model support').action(
    overApi(async ({ admin }, _options: object, id: string, teams: string[]) =>
      accessAnswer(await known(id, admin.baseModels.deny(id, await teamIds(admin, teams)))),
    ),
  );
}

/** Adds the options for the source of a base model. */
export const withSource = (command: Command): Command =>
  command
    .option(
      '--hub <id>',
      'organisation/name on the Hugging Face Hub, or on the server that HF_ENDPOINT names',
    )
    .option('--revision <revision>', 'branch, tag or commit on the Hub (default: main)')
    .option('--folder <path>', 'absolute path of a folder, the same on every machine')
    .option('--s3 <url>', 's3://bucket/prefix, read with the service’s credentials')
    .option('--file <name>', 'name of the GGUF file to use, if there are several')
    .option('--teams <teams>', 'only for these teams: names or ids, separated by commas', words);

export interface SourceOptions {
  folder?: string;
  hub?: string;
  s3?: string;
  revision?: string;
  file?: string;
  teams?: string[];
}

export const queuedText = (id: string) => `${id} is queued. Its progress: graft admin base-models show ${id}`;

async function teamIds(admin: Admin, names: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const name of names) ids.push((await existingTeam(admin, name)).id);
  return ids;
}

const known = <T>(id: string, model: Promise<T>): Promise<T> =>
  found(model, `There is no such base model: ${id}. \`graft admin base-models list\` shows them.`);

const accessAnswer = (model: BaseModelObject): Answer => ({
  value: model,
  text: `Teams that can use ${model.id}: ${describeTeams(model)}.`,
});

function describeModel(model: BaseModelObject): string[][] {
  const { source, location, commit, weights_sha256, finished_at } = model;
  const rows: [string, string | null][] = [
    ['source', location === null ? source : `${source} ${location}`],
    ['state', describeState(model)],
    ['teams', describeTeams(model)],
    ['commit', commit],
    ['weights', weights_sha256 && `sha256 ${weights_sha256}`],
    ['finished', finished_at === null ? null : timestamp(finished_at)],
  ];
  const files = (model.files ?? []).map((file) => [file.path, `${bytes(file.bytes)}  sha256 ${file.sha256}`]);
  return [...rows.filter((row): row is [string, string] => row[1] !== null), ...files];
}

function describeState({ state, error, hidden, bytes_done, bytes_total }: BaseModelObject): string {
  const percent = bytes_total ? Math.floor((100 * bytes_done) / bytes_total) : 0;
  const progress = state === 'fetching' && bytes_total ? ` ${percent} % of ${bytes(bytes_total)}` : '';
  return `${state}${progress}${hidden ? ', hidden' : ''}${error ? `: ${error.message}` : ''}`;
}

function describeTeams({ limited, allowed_teams, denied_teams }: BaseModelObject): string {
  if (limited) return allowed_teams.join(', ') || 'none';
  return denied_teams.length > 0 ? `all but ${denied_teams.join(', ')}` : 'all';
}
