import {
  findFineTunedModel,
  findVersionById,
  getCheckpointAdapter,
  getModelAlias,
  type ModelAlias,
  resolveModelAlias,
} from '@graft/service/adapters';
import { getJob } from '@graft/service/jobs';
import { type Identity, type ModelLimit, namedWithin } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import type { FastifyRequest } from 'fastify';
import { type CloneJobBody, cloneRequest } from '../jobs/clone-job.ts';
import { type Touched, touchedJob, touchedModel, touchedNewVersion, touchedVersion } from './check-models.ts';

type Find = (services: Services, request: FastifyRequest, limit: ModelLimit) => Promise<Touched[]>;

interface Use {
  /** Finds the models in use from the request alone. The route reports objects that do not exist. */
  find?: Find;
  /** The route itself applies `request.modelLimit()` or calls `request.checkModels`. A response without either is refused. */
  byRoute?: true;
  /** `model` of the body, the query or the path may be an alias of the team. */
  aliases?: true;
}

/** Every way in which routes use models. `config.access.models` of each route names one. */
export const modelUses = {
  /** No model, or nothing that a model limit covers: files, people, keys. */
  none: {},
  /** All of the team's models, so that no limited key is allowed: totals, logs, and notifications about every job. */
  all: {},
  /** A list. The response contains only what the limit allows. */
  filtered: { byRoute: true },
  /** Models that are known only while the body is read. */
  body: { byRoute: true, aliases: true },
  /** The model that the body or the path names. */
  model: { find: async (_, request) => [touchedModel(namedModel(request))], aliases: true },
  /** An alias: the model that it points at, and the one at which the body lets it point. */
  alias: { find: touchedByAlias },
  /** Models that a job starts from and creates: `model`, `start_from` and `suffix` of the body or the query. */
  start: {
    find: async (services, { caller, body, query }) =>
      await touchedByStart(services, caller, (body ?? query) as Start),
    aliases: true,
  },
  /** A job, and what its copy starts from and creates. */
  clone: { find: touchedByClone, aliases: true },
  job: { find: async (services, request) => (await jobOfPath(services, request)).touched },
  jobs: { find: touchedJobs },
  /** The stored adapter of a checkpoint. */
  checkpoint: { find: async (services, request) => (await checkpointOfPath(services, request)).touched },
  /** A checkpoint's adapter, and the adapter to which it becomes a new version. */
  promotion: { find: touchedByPromotion },
  /** The versions that the body combines, and the adapter that gets the result. */
  combined: { find: touchedByCombination },
  /** At least one version of an adapter. The response contains only what the limit allows. */
  adapter: { find: touchedAdapter, byRoute: true },
  versions: { find: touchedVersions },
  /** The version in the path, which may be deleted. */
  version: { find: touchedVersionOfPath },
  /** The version in the path. Of other versions the response contains only those that the limit allows. */
  lineage: { find: touchedVersionOfPath, byRoute: true },
  tag: { find: touchedTag },
  /** A tag and its new version. Without this check a tag would give access to any version. */
  'moved tag': { find: touchedByMove },
  compared: {
    find: async (_, { query }) => {
      const { a, b } = query as { a: string; b: string };
      return [touchedModel(a, 'a'), touchedModel(b, 'b')];
    },
  },
  /** The base model in the query, if there is one. */
  report: {
    find: async (_, { query }) => {
      const { model } = query as { model?: string };
      return model === undefined ? [] : [touchedModel(model)];
    },
    aliases: true,
  },
} satisfies Record<string, Use>;

export type ModelUse = keyof typeof modelUses;

export const useOf = (name: ModelUse): Use => modelUses[name];

/** The parts of a job request that name its start. The body is not validated yet and may contain anything. */
interface Start {
  model?: unknown;
  start_from?: unknown;
  suffix?: unknown;
}

export async function touchedByStart(
  services: Services,
  caller: Identity,
  { model, start_from: startFrom, suffix }: Start,
): Promise<Touched[]> {
  const touched: Touched[] = [];
  const { teamId, teamName } = caller;
  const start = typeof startFrom === 'string' && startFrom !== '' ? startFrom : null;
  const started =
    start === null
      ? null
      : start.startsWith('ft:')
        ? await findFineTunedModel(services, teamId, start)
        : await findVersionById(services, teamId, start);
  if (start?.startsWith('ft:')) touched.push(touchedModel(start, 'start_from'));
  else if (started) touched.push(touchedVersion(started, `the version ${start}`, 'start_from'));
  if (typeof model !== 'string') return touched;
  // The base model of an adapter that training continues needs no separate check.
  const isBaseOfStart = started !== null && started.baseModel === model;
  if (!isBaseOfStart) touched.unshift(touchedModel(model));
  if (typeof suffix !== 'string') return touched;
  const tuned = model.startsWith('ft:') ? await findFineTunedModel(services, teamId, model) : null;
  const baseModel = tuned?.baseModel ?? started?.baseModel ?? model;
  return [...touched, touchedNewVersion({ baseModel, teamName, name: suffix }, 'suffix')];
}

async function touchedByClone(services: Services, request: FastifyRequest): Promise<Touched[]> {
  const { job, touched } = await jobOfPath(services, request);
  if (!job) return [];
  const copy = cloneRequest(job, request.body as CloneJobBody);
  return [...touched, ...(await touchedByStart(services, request.caller, copy))];
}

async function jobOfPath(services: Services, { caller, params }: FastifyRequest) {
  const { fine_tuning_job_id: id } = params as { fine_tuning_job_id: string };
  const job = await getJob(services, caller.teamId, id);
  return { job, touched: job ? [touchedJob(job)] : [] };
}

async function touchedJobs(services: Services, { caller, query }: FastifyRequest): Promise<Touched[]> {
  const ids = (query as { ids: string }).ids.split(',');
  const jobs = await services.db.job.findMany({
    where: { teamId: caller.teamId, id: { in: ids } },
    select: { id: true, model: true, startFromModel: true, fineTunedModel: true },
  });
  return jobs.map((job) => touchedJob(job, 'ids'));
}

async function checkpointOfPath(services: Services, request: FastifyRequest) {
  const { checkpoint_id: id } = request.params as { checkpoint_id: string };
  const { job, touched } = await jobOfPath(services, request);
  const of = { jobId: job?.id ?? '', id };
  const checkpoint = job && (await getCheckpointAdapter(services, request.caller.teamId, of));
  // Without a stored adapter only the job's model is used.
  if (!checkpoint) return { job, checkpoint, touched };
  const what = `the model of the checkpoint ${id}`;
  return { job, checkpoint, touched: [touchedVersion(checkpoint, what, 'checkpoint_id')] };
}

async function touchedByPromotion(services: Services, request: FastifyRequest): Promise<Touched[]> {
  const { job, checkpoint, touched } = await checkpointOfPath(services, request);
  const { name } = request.body as { name?: string };
  // Without a name the checkpoint becomes a version of its job's own adapter.
  if (!checkpoint || name === undefined || name === (job.suffix ?? job.id.slice(-8))) return touched;
  const { baseModel } = checkpoint;
  const { teamName } = request.caller;
  return [...touched, touchedNewVersion({ baseModel, teamName, name }, 'name')];
}

async function touchedByCombination(
  services: Services,
  { caller, body }: FastifyRequest,
): Promise<Touched[]> {
  const { sources, name } = body as { sources: { model: string }[]; name: string };
  const touched = sources.map(({ model }) => touchedModel(model, 'sources'));
  const first = await findFineTunedModel(services, caller.teamId, sources[0]!.model);
  if (!first) return touched;
  const { baseModel } = first;
  return [...touched, touchedNewVersion({ baseModel, teamName: caller.teamName, name }, 'name')];
}

const adapterId = ({ params }: FastifyRequest) => (params as { adapter_id: string }).adapter_id;

async function countVersions({ db }: Services, request: FastifyRequest, limit: ModelLimit) {
  const live = { teamId: request.caller.teamId, adapterId: adapterId(request), deletedAt: null };
  const all = await db.adapterVersion.count({ where: live });
  return { all, within: await db.adapterVersion.count({ where: { ...live, ...namedWithin(limit) } }) };
}

async function touchedAdapter(services: Services, request: FastifyRequest, limit: ModelLimit) {
  const { all, within } = await countVersions(services, request, limit);
  const what = `every version of ${adapterId(request)}`;
  return all === 0 ? [] : [{ param: 'adapter_id', what, isWithin: () => within > 0 }];
}

async function touchedVersions(services: Services, request: FastifyRequest, limit: ModelLimit) {
  const { all, within } = await countVersions(services, request, limit);
  const what = `a version of ${adapterId(request)}`;
  return [{ param: 'adapter_id', what, isWithin: () => within === all }];
}

async function touchedVersionOfPath(services: Services, request: FastifyRequest): Promise<Touched[]> {
  const { version } = request.params as { version: number };
  return await touchedVersionNumber(services, request, version);
}

async function touchedVersionNumber(
  { db }: Services,
  request: FastifyRequest,
  number: number,
): Promise<Touched[]> {
  const found = await db.adapterVersion.findFirst({
    where: { teamId: request.caller.teamId, adapterId: adapterId(request), number },
    select: { modelName: true },
  });
  if (!found) return [];
  return [touchedVersion(found, `version ${number} of ${adapterId(request)}`, 'version')];
}

async function touchedTag({ db }: Services, request: FastifyRequest): Promise<Touched[]> {
  const { tag: name } = request.params as { tag: string };
  const { teamId } = request.caller;
  const tag = await db.adapterTag.findFirst({ where: { teamId, adapterId: adapterId(request), name } });
  return tag ? [touchedVersion(tag, `the tag ${name} of ${adapterId(request)}`, 'tag')] : [];
}

async function touchedByMove(services: Services, request: FastifyRequest): Promise<Touched[]> {
  const { teamId, teamName } = request.caller;
  const { tag, version } = request.body as { tag: string; version: number };
  const adapter = await services.db.adapter.findFirst({ where: { teamId, id: adapterId(request) } });
  if (!adapter) return [];
  const modelName = `ft:${adapter.baseModel}:${teamName}:${adapter.name}:${tag}`;
  const what = `the tag ${tag} of ${adapter.id}`;
  const moved = touchedVersion({ modelName }, what, 'tag');
  return [moved, ...(await touchedVersionNumber(services, request, version))];
}

async function touchedByAlias(services: Services, { caller, params, body }: FastifyRequest) {
  const { alias: name } = params as { alias: string };
  const alias = await getModelAlias(services, caller.teamId, name);
  const touched = alias ? [touchedVersion({ modelName: alias.target }, `the model of ${name}`, 'alias')] : [];
  const { target } = (body ?? {}) as { target?: string };
  return target === undefined ? touched : [...touched, touchedModel(target, 'target')];
}

/** Finds the alias that a request names, and puts the model that it points at in its place. Null: the request names none. */
export async function replaceAlias(services: Services, request: FastifyRequest): Promise<ModelAlias | null> {
  const { method, params, body, query, caller } = request;
  // To delete a model does not delete what an alias points at.
  const path = method === 'GET' ? params : {};
  for (const [holder, key] of [[body, 'model'] as const, [query, 'model'] as const, [path, '*'] as const]) {
    const name = (holder as Record<string, unknown> | null | undefined)?.[key];
    if (typeof name !== 'string') continue;
    const alias = await resolveModelAlias(services, caller.teamId, name);
    if (alias) (holder as Record<string, unknown>)[key] = alias.target;
    return alias;
  }
  return null;
}

function namedModel({ params, body }: FastifyRequest): string {
  const { '*': inPath } = params as { '*'?: string };
  return inPath ?? (body as { model: string }).model;
}
