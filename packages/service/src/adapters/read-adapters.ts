import type { Database } from '../database/database.ts';
import { type Page, readPage } from '../database/read-page.ts';
import type { Adapter as AdapterRow, Prisma } from '../generated/client.ts';
import { type Adapter, type AdapterVersion, versionOf, withAdapter } from './adapter.ts';

/** Newest first. Throws GraftError `invalid_cursor`. */
export async function listAdapters(
  { db }: Database,
  teamId: string,
  options: { after?: string | undefined; limit: number },
): Promise<Page<Adapter>> {
  const page = await readPage(options, {
    has: async (id) => await db.adapter.count({ where: { teamId, id } }),
    read: async (page) =>
      await db.adapter.findMany({
        where: { teamId },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        ...page,
      }),
    toRecord: (row) => row,
  });
  return { ...page, data: await withLatestVersions(db, teamId, page.data) };
}

/** Null: no such adapter in this team. */
export async function getAdapter({ db }: Database, teamId: string, id: string): Promise<Adapter | null> {
  const row = await db.adapter.findUnique({ where: { teamId_id: { teamId, id } } });
  const [adapter] = await withLatestVersions(db, teamId, row ? [row] : []);
  return adapter ?? null;
}

/** One query for all: an adapter may have many versions, of which only the highest number is wanted. */
async function withLatestVersions(
  db: Database['db'],
  teamId: string,
  rows: AdapterRow[],
): Promise<Adapter[]> {
  if (rows.length === 0) return [];
  const newest = await db.adapterVersion.groupBy({
    by: ['adapterId'],
    where: { teamId, adapterId: { in: rows.map(({ id }) => id) } },
    _max: { number: true },
  });
  const numbers = new Map(newest.map(({ adapterId, _max }) => [adapterId, _max.number]));
  return rows.map((row) => ({ ...row, latestVersion: numbers.get(row.id) ?? null }));
}

async function readVersions(
  { db }: Database,
  where: Prisma.AdapterVersionWhereInput & { teamId: string },
): Promise<AdapterVersion[]> {
  const orderBy: Prisma.AdapterVersionOrderByWithRelationInput[] = [
    { createdAt: 'desc' },
    { number: 'desc' },
  ];
  const rows = await db.adapterVersion.findMany({ where, orderBy, ...withAdapter });
  return rows.map(versionOf);
}

/** Every version of one adapter, newest first. */
export async function listAdapterVersions(
  db: Database,
  teamId: string,
  adapterId: string,
): Promise<AdapterVersion[]> {
  return await readVersions(db, { teamId, adapterId });
}

/** Null: no such version in this team. */
export async function getAdapterVersion(
  db: Database,
  teamId: string,
  adapterId: string,
  number: number,
): Promise<AdapterVersion | null> {
  const [version] = await readVersions(db, { teamId, adapterId, number });
  return version ?? null;
}

/** Every fine-tuned model of a team, newest first. */
export async function listFineTunedModels(db: Database, teamId: string): Promise<AdapterVersion[]> {
  return await readVersions(db, { teamId });
}

/** The version behind a model name `ft:…`. Null: no such model in this team. */
export async function findFineTunedModel(
  db: Database,
  teamId: string,
  modelName: string,
): Promise<AdapterVersion | null> {
  const [version] = await readVersions(db, { teamId, modelName });
  return version ?? null;
}
