import type { AddedModel, ModelAccess, Services } from '@graft/service';
import type { Command } from 'commander';
import { words } from '../arguments.ts';
import { bytes, timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError, UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { existingTeam } from './existing-team.ts';
import { type Service, unixSeconds, withServices } from './with-services.ts';

interface Told {
  id: string;
  source: string;
  location: string | null;
  state: string;
  error: AddedModel['error'];
  hidden: boolean;
  access: ModelAccess;
  added: AddedModel | null;
}

export function addBaseModelVerbs(admin: Command): void {
  const models = noun(
    admin,
    'base-models',
    'add, list, show, retry, hide, unhide, remove, allow, deny, forget',
  );
  addAddVerb(models);

  verb(models, {
    name: 'list',
    summary: 'list all base models, with how far those that were added are and which teams see them',
    examples: ['graft admin base-models list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const data = await withServices(readAll);
    output.result({ object: 'list', data: data.map(wireModel) }, () =>
      table(
        ['ID', 'SOURCE', 'STATE', 'TEAMS'],
        data.map((model) => [model.id, model.source, stateOf(model), teamsOf(model.access)]),
        output.paint,
        'No base models.',
      ),
    );
  });

  verb(models, {
    name: 'show <id>',
    summary: 'show one base model: progress, what went wrong, digests of its files, teams',
    examples: ['graft admin base-models show my-model'],
  }).action(async (id: string, options: VerbOptions) => {
    const output = createOutput(options);
    const model = await withServices((services, service) => existing(services, service, id));
    output.result(wireModel(model), () => {
      const { added } = model;
      const rows: string[][] = [
        ['source', model.location === null ? model.source : `${model.source} ${model.location}`],
        ['state', stateOf(model)],
        ['teams', teamsOf(model.access)],
        ...(added?.commit ? [['commit', added.commit]] : []),
        ...(added?.digest ? [['weights', `sha256 ${added.digest}`]] : []),
        ...(added?.finishedAt ? [['finished', timestamp(unixSeconds(added.finishedAt))]] : []),
        ...(added?.files ?? []).map((file) => [file.path, `${bytes(file.bytes)}  sha256 ${file.sha256}`]),
      ];
      return table(['MODEL', model.id], rows, output.paint, '');
    });
  });

  addLifeVerbs(models);
  addAccessVerbs(models);

  verb(models, {
    name: 'forget <id>',
    summary: 'after its weights were replaced on purpose: the next use records the new ones',
    examples: ['graft admin base-models forget my-model'],
  }).action(async (id: string, options: VerbOptions) => {
    const output = createOutput(options);
    const known = await withServices((services, { forgetBaseModel }) => forgetBaseModel(services, id));
    output.result({ id, forgotten: known }, () =>
      known ? `The weights of ${id} are recorded anew when it is next used.` : `${id} was never used.`,
    );
  });
}

interface AddOptions extends VerbOptions {
  folder?: string;
  hub?: string;
  s3?: string;
  revision?: string;
  file?: string;
  teams?: string[];
}

function addAddVerb(models: Command): void {
  verb(models, {
    name: 'add <id>',
    summary: 'add a base model, which the service fetches in the background and verifies',
    examples: [
      'graft admin base-models add smollm2-360m --hub HuggingFaceTB/SmolLM2-360M-Instruct',
      'graft admin base-models add our-model --s3 s3://models/our-model --teams research,support',
    ],
  })
    .option('--hub <id>', 'organisation/name on the Hub that HF_ENDPOINT names')
    .option('--revision <revision>', 'of the Hub: branch, tag or commit (default: main)')
    .option('--folder <path>', 'absolute, and the same on every machine')
    .option('--s3 <url>', 's3://bucket/prefix, read with the service’s credentials')
    .option('--file <name>', 'the GGUF file to take, where there are several')
    .option('--teams <teams>', 'names or ids of the only teams that see it', words)
    .action(async (id: string, options: AddOptions) => {
      const { hub, revision, folder, s3, file } = options;
      const model = await withServices(async (services, service) => {
        const teams = options.teams && (await teamIds(services, service, options.teams));
        // Whoever has the service's database needs no list of what requests may name.
        await service.addBaseModel(services, { id, hub, revision, folder, s3, file, teams }, null, null);
        return await existing(services, service, id);
      });
      createOutput(options).result(
        wireModel(model),
        () => `${id} is queued. How far it is: graft admin base-models show ${id}`,
      );
    });
}

function addLifeVerbs(models: Command): void {
  verb(models, {
    name: 'retry <id>',
    summary: 'fetch an added base model again that failed, from where it stopped',
    examples: ['graft admin base-models retry my-model'],
  }).action(async (id: string, options: VerbOptions) => {
    const model = await withServices(async (services, service) => {
      if (!(await service.retryBaseModel(services, id, null))) throw unknown(id);
      return await existing(services, service, id);
    });
    createOutput(options).result(
      wireModel(model),
      () => `${id} is queued again. How far it is: graft admin base-models show ${id}`,
    );
  });

  for (const hidden of [true, false]) {
    verb(models, {
      name: hidden ? 'hide <id>' : 'unhide <id>',
      summary: hidden
        ? 'hide an added base model from all teams; jobs and adapters go on with it'
        : 'show a hidden base model again',
      examples: [`graft admin base-models ${hidden ? 'hide' : 'unhide'} my-model`],
    }).action(async (id: string, options: VerbOptions) => {
      const model = await withServices((services, { hideBaseModel }) =>
        hideBaseModel(services, id, hidden, null),
      );
      if (!model) throw unknown(id);
      createOutput(options).result({ id, hidden }, () => `${id} is ${hidden ? 'hidden' : 'shown again'}.`);
    });
  }

  verb(models, {
    name: 'remove <id>',
    summary: 'remove an added base model that no job under way and no adapter uses',
    examples: ['graft admin base-models remove my-model'],
  }).action(async (id: string, options: VerbOptions) => {
    const done = await withServices((services, { removeBaseModel }) => removeBaseModel(services, id, null));
    if (!done) throw unknown(id);
    createOutput(options).result({ id, removed: true }, () => `Removed ${id}.`);
  });
}

function addAccessVerbs(models: Command): void {
  verb(models, {
    name: 'allow <id> [teams...]',
    summary: 'only allowed teams see the base model from now on: these and those allowed before',
    examples: [
      'graft admin base-models allow my-model research',
      'graft admin base-models allow my-model --everyone',
    ],
  })
    .option('--everyone', 'all teams see it, as without any word')
    .action(async (id: string, teams: string[], options: VerbOptions & { everyone?: boolean }) => {
      if (Boolean(options.everyone) === teams.length > 0)
        throw new UsageError('Name teams, or give --everyone.');
      await changeAccess(id, options.everyone ? 'everyone' : 'allow', teams, options);
    });

  verb(models, {
    name: 'deny <id> <teams...>',
    summary: 'these teams see the base model no more; jobs that were accepted go on',
    examples: ['graft admin base-models deny my-model support'],
  }).action(async (id: string, teams: string[], options: VerbOptions) => {
    await changeAccess(id, 'deny', teams, options);
  });
}

async function changeAccess(
  id: string,
  how: 'everyone' | 'allow' | 'deny',
  teams: string[],
  options: VerbOptions,
): Promise<void> {
  const model = await withServices(async (services, service) => {
    await existing(services, service, id);
    const ids = await teamIds(services, service, teams);
    const change = how === 'everyone' ? how : how === 'allow' ? { allow: ids } : { deny: ids };
    await service.changeModelAccess(services, id, change, null);
    return await existing(services, service, id);
  });
  createOutput(options).result(wireModel(model), () => `${id} is seen by: ${teamsOf(model.access)}.`);
}

async function teamIds(services: Services, service: Service, names: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const name of names) ids.push((await existingTeam(services, service, name)).id);
  return ids;
}

async function readAll(services: Services, service: Service): Promise<Told[]> {
  const configured = await services.baseModels.configured();
  const added = await service.listAddedModels(services);
  const ids = [...configured.map(({ id }) => id), ...added.map(({ modelId }) => modelId)];
  const access = await service.readAccess(services.db, ids);
  return [
    ...configured.map((model) => toldOf(model.id, model.source, null, access.get(model.id)!)),
    ...added.map((model) => toldOf(model.modelId, model.source, model, access.get(model.modelId)!)),
  ];
}

function toldOf(id: string, source: string, added: AddedModel | null, access: ModelAccess): Told {
  const { location = null, state = 'configured', error = null, hiddenAt = null } = added ?? {};
  return { id, source, location, state, error, hidden: hiddenAt !== null, access, added };
}

async function existing(services: Services, service: Service, id: string): Promise<Told> {
  const model = (await readAll(services, service)).find((each) => each.id === id);
  if (model) return model;
  // A Hub id that a glob of GRAFT_HUB_ALLOW matches is in no list.
  if (!services.baseModels.isConfigured(id)) throw unknown(id);
  return toldOf(id, 'hub', null, (await service.readAccess(services.db, [id])).get(id)!);
}

const unknown = (id: string) =>
  new CommandError(`There is no such base model: ${id}. \`graft admin base-models list\` shows them.`);

function stateOf({ state, error, hidden, added }: Told): string {
  const far =
    state === 'fetching' && added?.bytesTotal
      ? ` ${Math.floor((100 * added.bytesDone) / added.bytesTotal)} % of ${bytes(added.bytesTotal)}`
      : '';
  return `${state}${far}${hidden ? ', hidden' : ''}${error ? `: ${error.message}` : ''}`;
}

function teamsOf({ limited, allowed, denied }: ModelAccess): string {
  if (limited) return allowed.join(', ') || 'none';
  return denied.length > 0 ? `all but ${denied.join(', ')}` : 'all';
}

const seconds = (date: Date | null | undefined) => (date ? unixSeconds(date) : null);

/** Field names and times as the API has them. */
const wireModel = ({ id, source, location, state, error, hidden, access, added }: Told) => ({
  id,
  source,
  location,
  revision: added?.revision ?? null,
  commit: added?.commit ?? null,
  file: added?.file ?? null,
  state,
  model_type: added?.modelType ?? null,
  bytes_done: added?.bytesDone ?? 0,
  bytes_total: added?.bytesTotal ?? null,
  files: added?.files ?? null,
  weights_sha256: added?.digest ?? null,
  error,
  hidden,
  limited: access.limited,
  allowed_teams: access.allowed,
  denied_teams: access.denied,
  added_by: added?.addedBy ?? null,
  created_at: seconds(added?.createdAt),
  started_at: seconds(added?.startedAt),
  finished_at: seconds(added?.finishedAt),
});
