import type { BaseModelObject } from '@graft/client';
import type { Command } from 'commander';
import { words } from '../arguments.ts';
import { bytes, timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { noun, type RemoteOptions, type VerbOptions, verb } from '../verb.ts';
import { type Answer, listed } from './answer.ts';
import { existingTeam } from './existing-team.ts';
import { type Admin, found, given, overApi, wholePage } from './over-api.ts';

export function addBaseModelVerbs(admin: Command): void {
  const models = noun(
    admin,
    'base-models',
    'add, list, show, retry, hide, unhide, remove, allow, deny, forget',
  );

  withSource(
    verb(models, {
      name: 'add <id>',
      summary: 'add a base model, which the service fetches in the background and verifies',
      examples: [
        'graft admin base-models add smollm2-360m --hub HuggingFaceTB/SmolLM2-360M-Instruct',
        'graft admin base-models add our-model --s3 s3://models/our-model --teams research,support',
      ],
      remote: 'operator',
    }),
  ).action(
    overApi(async ({ admin }, options: RemoteOptions & SourceOptions, id: string) => {
      const { hub, revision, folder, s3, file } = options;
      const teams = options.teams && (await teamIds(admin, options.teams));
      const value = await admin.baseModels.add({ id, ...given({ hub, revision, folder, s3, file, teams }) });
      return { value, text: queuedText(id) };
    }),
  );

  verb(models, {
    name: 'list',
    summary: 'list all base models, with the progress of those that were added and the teams that see them',
    examples: ['graft admin base-models list'],
    remote: 'operator',
  }).action(
    overApi(({ admin }) =>
      listed(
        admin.baseModels.list(wholePage),
        { ID: ({ id }) => id, SOURCE: ({ source }) => source, STATE: describeState, TEAMS: describeTeams },
        'No base models.',
      ),
    ),
  );

  addModelVerb(models, {
    name: 'show',
    summary: 'show one base model: progress, errors, digests of its files, teams',
    run: ({ baseModels }, id) => baseModels.retrieve(id),
    text: (model) => (paint) => table(['MODEL', model.id], describeModel(model), paint, ''),
  });
  addModelVerb(models, {
    name: 'retry',
    summary: 'fetch an added base model again that failed, from where it stopped',
    run: ({ baseModels }, id) => baseModels.retry(id),
    text: ({ id }) => `${id} is queued again. Its progress: graft admin base-models show ${id}`,
  });
  addModelVerb(models, {
    name: 'hide',
    summary: 'hide an added base model from all teams; jobs and adapters keep working with it',
    run: ({ baseModels }, id) => baseModels.update(id, { hidden: true }),
    text: ({ id }) => `${id} is hidden.`,
  });
  addModelVerb(models, {
    name: 'unhide',
    summary: 'show a hidden base model again',
    run: ({ baseModels }, id) => baseModels.update(id, { hidden: false }),
    text: ({ id }) => `${id} is shown again.`,
  });
  addModelVerb(models, {
    name: 'remove',
    summary: 'remove an added base model that no unfinished job and no adapter uses',
    run: async ({ baseModels }, id) => ({ ...(await baseModels.delete(id)), removed: true }),
    text: ({ id }) => `Removed ${id}.`,
  });
  addModelVerb(models, {
    name: 'forget',
    summary: 'after its weights were replaced on purpose: the next use records the new ones',
    run: ({ baseModels }, id) => baseModels.forget(id),
    text: ({ id, forgotten }) =>
      forgotten ? `The weights of ${id} are recorded again when it is next used.` : `${id} was never used.`,
  });
  addAccessVerbs(models);
}

/** A verb on the model of an id. */
function addModelVerb<T extends { id: string }>(
  models: Command,
  spec: {
    name: string;
    summary: string;
    run: (admin: Admin, id: string) => Promise<T>;
    text: (value: T) => Answer['text'];
  },
): void {
  verb(models, {
    name: `${spec.name} <id>`,
    summary: spec.summary,
    examples: [`graft admin base-models ${spec.name} my-model`],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, id: string) => {
      const value = await known(id, spec.run(admin, id));
      return { value, text: spec.text(value) };
    }),
  );
}

function addAccessVerbs(models: Command): void {
  verb(models, {
    name: 'allow <id> [teams...]',
    summary: 'limit the base model to allowed teams: these and those allowed before',
    examples: [
      'graft admin base-models allow my-model research',
      'graft admin base-models allow my-model --everyone',
    ],
    remote: 'operator',
  })
    .option('--everyone', 'all teams see it, as by default')
    .action(
      overApi(
        async ({ admin }, { everyone }: RemoteOptions & { everyone?: true }, id: string, teams: string[]) => {
          if (Boolean(everyone) === teams.length > 0) throw new UsageError('Name teams, or give --everyone.');
          const allowed = everyone ? null : await teamIds(admin, teams);
          return accessAnswer(await known(id, admin.baseModels.allow(id, allowed)));
        },
      ),
    );

  verb(models, {
    name: 'deny <id> <teams...>',
    summary: 'hide the base model from these teams; jobs that were accepted continue',
    examples: ['graft admin base-models deny my-model support'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, id: string, teams: string[]) =>
      accessAnswer(await known(id, admin.baseModels.deny(id, await teamIds(admin, teams)))),
    ),
  );
}

/** The options that name where a base model is fetched from. */
export const withSource = (command: Command): Command =>
  command
    .option('--hub <id>', 'organisation/name on the Hub that HF_ENDPOINT names')
    .option('--revision <revision>', 'of the Hub: branch, tag or commit (default: main)')
    .option('--folder <path>', 'absolute, and the same on every machine')
    .option('--s3 <url>', 's3://bucket/prefix, read with the service’s credentials')
    .option('--file <name>', 'the GGUF file to use, where there are several')
    .option('--teams <teams>', 'names or ids of the only teams that see it', words);

export interface SourceOptions extends VerbOptions {
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
  text: `${model.id} is seen by: ${describeTeams(model)}.`,
});

function describeModel(model: BaseModelObject): string[][] {
  const rows: [string, string | null][] = [
    ['source', model.location === null ? model.source : `${model.source} ${model.location}`],
    ['state', describeState(model)],
    ['teams', describeTeams(model)],
    ['commit', model.commit],
    ['weights', model.weights_sha256 && `sha256 ${model.weights_sha256}`],
    ['finished', model.finished_at === null ? null : timestamp(model.finished_at)],
  ];
  const files = (model.files ?? []).map((file) => [file.path, `${bytes(file.bytes)}  sha256 ${file.sha256}`]);
  return [...rows.filter((row): row is [string, string] => row[1] !== null), ...files];
}

function describeState({ state, error, hidden, bytes_done, bytes_total }: BaseModelObject): string {
  const progress =
    state === 'fetching' && bytes_total
      ? ` ${Math.floor((100 * bytes_done) / bytes_total)} % of ${bytes(bytes_total)}`
      : '';
  return `${state}${progress}${hidden ? ', hidden' : ''}${error ? `: ${error.message}` : ''}`;
}

function describeTeams({ limited, allowed_teams, denied_teams }: BaseModelObject): string {
  if (limited) return allowed_teams.join(', ') || 'none';
  return denied_teams.length > 0 ? `all but ${denied_teams.join(', ')}` : 'all';
}
