import type { Database } from '../database/database.ts';
import {
  createdIn,
  listRows,
  type Page,
  type PageOptions,
  readPage,
  type TimeSpan,
} from '../database/read-page.ts';
import type { Adapter as AdapterRow, Prisma } from '../generated/client.ts';
import { type ModelLimit, namedWithin } from '../keys/model-limit.ts';
import {
  type Adapter,
  type AdapterTag,
  type AdapterVersion,
  tagOf,
  tagsWithin,
  tagVersion,
  versionOf,
  withAdapter,
} from './adapter.ts';

/** Only restoring reads deleted versions. */
const live = { deletedAt: null } as const;
const withLiveVersion = { versions: { some: live } } as const;

/** Lists the adapters that have versions, newest first. Throws GraftError `invalid_cursor`. */
export async function listAdapters(
  { db }: Database,
  teamId: string,
  options: PageOptions & {
    baseModel?: string | undefined;
    name?: string | undefined;
    /** Part of the name, case-insensitive. */
    search?: string | undefined;
    created?: TimeSpan;
    /** Only adapters with a version whose name is within the limit, and of each adapter only the versions and tags within it. */
    models?: ModelLimit;
  },
): Promise<Page<Adapter>> {
  const { baseModel, name, search, models = null } = options;
  const filter = {
    ...(baseModel !== undefined && { baseModel }),
    ...(name !== undefined && { name }),
    ...(search !== undefined && { name: containing(search) }),
    ...createdIn(options.created),
  };
  const versions = { some: { ...live, ...namedWithin(models) } };
  const page = await listRows(db.adapter, options, { where: { teamId, versions }, filter }, (row) => row);
  return { ...page, data: await withVersions(db, teamId, page.data, models) };
}

/** Builds a substring filter. Escapes LIKE wildcards, which Prisma would pass on. */
const containing = (text: string) => ({
  contains: text.replace(/[\\%_]/g, '\\$&'),
  mode: 'insensitive' as const,
});

/** Null: the team has no such adapter. `models`: see `listAdapters`. */
export async function getAdapter(
  { db }: Database,
  teamId: string,
  id: string,
  models: ModelLimit = null,
): Promise<Adapter | null> {
  const row = await db.adapter.findFirst({ where: { teamId, id, ...withLiveVersion } });
  const [adapter] = await withVersions(db, teamId, row ? [row] : [], models);
  return adapter ?? null;
}

/** Adds the newest version and the tags to each adapter, with two queries in total: an adapter may have many versions. */
async function withVersions(
  db: Database['db'],
  teamId: string,
  rows: AdapterRow[],
  models: ModelLimit,
): Promise<Adapter[]> {
  if (rows.length === 0) return [];
  const versionsOfPage = { teamId, adapterId: { in: rows.map(({ id }) => id) } };
  const newest = await db.adapterVersion.groupBy({
    by: ['adapterId'],
    where: { ...versionsOfPage, ...live, ...namedWithin(models) },
    _max: { number: true },
  });
  const numbers = new Map(newest.map(({ adapterId, _max }) => [adapterId, _max.number]));
  const where = { ...versionsOfPage, ...tagsWithin(models) };
  const tags = await db.adapterTag.findMany({ where, orderBy: { name: 'asc' }, ...tagVersion });
  const tagsOf = new Map<string, AdapterTag[]>(rows.map(({ id }) => [id, []]));
  for (const tag of tags) tagsOf.get(tag.adapterId)!.push(tagOf(tag));
  return rows.map((row) => ({
    ...row,
    latestVersion: numbers.get(row.id) ?? null,
    tags: tagsOf.get(row.id)!,
  }));
}

const newestFirst: Prisma.AdapterVersionOrderByWithRelationInput[] = [
  { createdAt: 'desc' },
  { number: 'desc' },
  { id: 'desc' },
];

async function findVersion(
  { db }: Database,
  where: { teamId: string } & ({ adapterId: string; number: number } | { modelName: string }) & typeof live,
): Promise<AdapterVersion | null> {
  const row = await db.adapterVersion.findFirst({ where, ...withAdapter });
  return row && versionOf(row);
}

/** Lists the versions of an adapter, newest first. Throws GraftError `invalid_cursor`. */
export async function listAdapterVersions(
  { db }: Database,
  teamId: string,
  adapterId: string,
  options: PageOptions & { models?: ModelLimit },
): Promise<Page<AdapterVersion>> {
  const where = { teamId, adapterId, ...live, ...namedWithin(options.models ?? null) };
  return await listRows(
    db.adapterVersion,
    options,
    { where, orderBy: newestFirst, ...withAdapter },
    versionOf,
  );
}

export async function getAdapterVersion(
  db: Database,
  teamId: string,
  adapterId: string,
  number: number,
): Promise<AdapterVersion | null> {
  return await findVersion(db, { teamId, adapterId, number, ...live });
}

/** The fields of a fine-tuned model in model lists. */
export type FineTunedModel = Pick<
  AdapterVersion,
  'modelName' | 'teamId' | 'baseModel' | 'adapterId' | 'number' | 'jobId' | 'createdAt' | 'peft'
>;

const modelColumns = {
  select: {
    id: true,
    modelName: true,
    teamId: true,
    adapterId: true,
    number: true,
    jobId: true,
    createdAt: true,
    peft: true,
    adapter: { select: { baseModel: true } },
  },
} as const;

/** Lists a team's fine-tuned models, newest first; `after` is a model name. Throws GraftError `invalid_cursor`. */
export async function listFineTunedModels(
  { db }: Database,
  teamId: string,
  { after: modelName, limit, models = null }: PageOptions & { models?: ModelLimit },
): Promise<Page<FineTunedModel>> {
  const last =
    modelName === undefined
      ? null
      : await db.adapterVersion.findFirst({
          where: { AND: [{ teamId, modelName, ...live }, namedWithin(models)] },
          select: { id: true },
        });
  // An unknown name is passed on: it equals no id, so `readPage` rejects it.
  return await readPage(
    { limit, after: last?.id ?? modelName },
    {
      has: async () => (last ? 1 : 0),
      read: async (page) =>
        await db.adapterVersion.findMany({
          where: { teamId, ...live, ...namedWithin(models) },
          orderBy: newestFirst,
          ...page,
          ...modelColumns,
        }),
      toRecord: fineTunedModelOf,
    },
  );
}

function fineTunedModelOf({
  id: _,
  adapter,
  peft,
  ...row
}: Prisma.AdapterVersionGetPayload<typeof modelColumns>): FineTunedModel {
  return { ...row, peft: peft as FineTunedModel['peft'], baseModel: adapter.baseModel };
}

/** Finds the versions behind names of versions and tags, by name, with two queries. */
export async function findFineTunedModels(
  { db }: Database,
  teamId: string,
  names: string[],
): Promise<Map<string, FineTunedModel>> {
  if (names.length === 0) return new Map();
  const modelName = { in: names };
  const versions = await db.adapterVersion.findMany({
    where: { teamId, modelName, ...live },
    ...modelColumns,
  });
  const tags = await db.adapterTag.findMany({
    where: { teamId, modelName, version: live },
    select: { modelName: true, version: modelColumns },
  });
  return new Map([
    ...tags.map((tag) => [tag.modelName, fineTunedModelOf(tag.version)] as const),
    ...versions.map((version) => [version.modelName, fineTunedModelOf(version)] as const),
  ]);
}

/** Finds a version by id, even if it was deleted. Null: the team has no such version. */
export async function findVersionById(
  { db }: Database,
  teamId: string,
  id: string,
): Promise<AdapterVersion | null> {
  const row = await db.adapterVersion.findFirst({ where: { teamId, id }, ...withAdapter });
  return row && versionOf(row);
}

/** Finds the version behind a model name `ft:…` or a tag's name. Null: the team has no such model. */
export async function findFineTunedModel(
  db: Database,
  teamId: string,
  modelName: string,
): Promise<AdapterVersion | null> {
  const version = await findVersion(db, { teamId, modelName, ...live });
  if (version) return version;
  const tag = await db.db.adapterTag.findFirst({
    where: { teamId, modelName, version: live },
    select: { version: withAdapter },
  });
  return tag && versionOf(tag.version);
}
