import type { BaseModelObject } from '@graft/client';
import type { Command } from 'commander';
import type { Answer } from '../answer.ts';
import { bytes, optional, timestamp } from '../draw/quantities.ts';
import { type Fields, fields } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { given, words } from '../options/arguments.ts';
import { found, listVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';
import { type Admin, existingTeam } from './existing.ts';

export function addBaseModelVerbs(admin: Command): void {
  const verbs = 'base models: add, list, show, retry, hide, unhide, remove, allow, deny, forget';
  const models = noun(admin, 'base-models', verbs);

  const adds = 'add a base model, which the service fetches in the background and verifies';
  const examples = [
    'smollm2-360m --hub HuggingFaceTB/SmolLM2-360M-Instruct',
    'our-model --s3 s3://models/our-model --teams research,support',
  ];
  withSource(serviceVerb(models, 'add <id>', adds, ...examples)).run(
    async ({ admin }, id: string, { hub, revision, folder, s3, file, ...options }: SourceOptions) => {
      const teams = options.teams && (await teamIds(admin, options.teams));
      const value = await admin.baseModels.add({ id, ...given({ hub, revision, folder, s3, file, teams }) });
      return { value, text: queuedText(id) };
    },
  );
  listVerb(models, ({ admin }, page) => admin.baseModels.list(page), {
    summary: 'list all base models, with download progress and the teams that can use them',
    columns: { ID: 'id', SOURCE: 'source', STATE: describeState, TEAMS: describeTeams },
    empty: 'No base models.',
  });
  const shows = 'show one base model: progress, errors, digests of its files, teams';
  serviceVerb(models, 'show <id>', shows, 'my-model').run(async ({ admin }, id: string) => {
    const model = await known(id, admin.baseModels.retrieve(id));
    return { value: model, text: (paint) => fields(describeModel(model), paint) };
  });

  const retries = 'resume a failed download of an added base model';
  serviceVerb(models, 'retry <id>', retries, 'my-model').run(async ({ admin }, id: string) => ({
    value: await known(id, admin.baseModels.retry(id)),
    text: queuedText(id, 'queued again'),
  }));

  const visibility = {
    hide: {
      summary: 'hide an added base model from all teams; jobs and adapters keep working with it',
      done: 'hidden',
    },
    unhide: { summary: 'show a hidden base model again', done: 'shown again' },
  };
  for (const [name, { summary, done }] of Object.entries(visibility))
    serviceVerb(models, `${name} <id>`, summary, 'my-model').run(async ({ admin }, id: string) => ({
      value: await known(id, admin.baseModels.update(id, { hidden: name === 'hide' })),
      text: `${id} is ${done}.`,
    }));

  const removes = 'remove an added base model that no unfinished job and no adapter uses';
  serviceVerb(models, 'remove <id>', removes, 'my-model').run(async ({ admin }, id: string) => {
    const deleted = await known(id, admin.baseModels.delete(id));
    return { value: { ...deleted, removed: true }, text: `Removed ${id}.` };
  });

  const forgets =
    'forget the recorded digests after you replaced the weights; the next use records the new ones';
  serviceVerb(models, 'forget <id>', forgets, 'my-model').run(async ({ admin }, id: string) => {
    const value = await known(id, admin.baseModels.forget(id));
    const text = value.forgotten
      ? `The weights of ${id} are recorded again when it is next used.`
      : `${id} was never used.`;
    return { value, text };
  });
  addAccessVerbs(models);
}

function addAccessVerbs(models: Command): void {
  const allows = 'limit a base model to these teams and those allowed before';
  serviceVerb(models, 'allow <id> [teams...]', allows, 'my-model research', 'my-model --everyone')
    .option('--everyone', 'allow all teams, the default')
    .run(async ({ admin }, id: string, teams: string[], { everyone }: { everyone?: true }) => {
      if (Boolean(everyone) === teams.length > 0) throw new UsageError('Name teams, or give --everyone.');
      const allowed = everyone ? null : await teamIds(admin, teams);
      return accessAnswer(await known(id, admin.baseModels.allow(id, allowed)));
    });

  const denies = 'hide a base model from these teams; jobs that were accepted continue';
  serviceVerb(models, 'deny <id> <teams...>', denies, 'my-model support').run(
    async ({ admin }, id: string, teams: string[]) =>
      accessAnswer(await known(id, admin.baseModels.deny(id, await teamIds(admin, teams)))),
  );
}

export const withSource = <C extends Command>(command: C): C =>
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

export const queuedText = (id: string, state = 'queued') =>
  `${id} is ${state}. Its progress: graft admin base-models show ${id}`;

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

function describeModel(model: BaseModelObject): Fields {
  const { source, location, weights_sha256 } = model;
  return {
    model: model.id,
    source: location === null ? source : `${source} ${location}`,
    state: describeState(model),
    teams: describeTeams(model),
    commit: model.commit,
    weights: weights_sha256 && `sha256 ${weights_sha256}`,
    finished: optional(model.finished_at, timestamp),
    files: model.files?.map((file) => `${file.path}  ${bytes(file.bytes)}  sha256 ${file.sha256}`),
  };
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
