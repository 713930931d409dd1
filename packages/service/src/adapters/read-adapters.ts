import type { Database } from '../database/database.ts';
import { type Page, readPage } from '../database/read-page.ts';
import { type Adapter, type AdapterVersion, adapterVersionColumns, adapterVersionTables } from './adapter.ts';

const adapterColumns = `adapters.id, adapters.team_id AS "teamId", adapters.name, adapters.base_model AS "baseModel",
  (SELECT max(number) FROM adapter_versions v WHERE v.team_id = adapters.team_id AND v.adapter_id = adapters.id)
    AS "latestVersion", adapters.created_at AS "createdAt"`;

/** Newest first. Throws GraftError `invalid_cursor`. */
export async function listAdapters(
  db: Database,
  teamId: string,
  options: { after?: string | undefined; limit: number },
): Promise<Page<Adapter>> {
  return await readPage<Adapter>(db, teamId, {
    table: 'adapters',
    columns: adapterColumns,
    order: 'desc',
    ...options,
  });
}

/** Null: no such adapter in this team. */
export async function getAdapter(db: Database, teamId: string, id: string): Promise<Adapter | null> {
  const { rows } = await db.sql.query<Adapter>(
    `SELECT ${adapterColumns} FROM adapters WHERE team_id = $1 AND id = $2`,
    [teamId, id],
  );
  return rows[0] ?? null;
}

async function readVersions(db: Database, condition: string, values: unknown[]): Promise<AdapterVersion[]> {
  const { rows } = await db.sql.query<AdapterVersion>(
    `SELECT ${adapterVersionColumns} FROM ${adapterVersionTables} WHERE v.team_id = $1 ${condition}
     ORDER BY v.created_at DESC, v.number DESC`,
    values,
  );
  return rows;
}

/** Every version of one adapter, newest first. */
export async function listAdapterVersions(
  db: Database,
  teamId: string,
  adapterId: string,
): Promise<AdapterVersion[]> {
  return await readVersions(db, 'AND v.adapter_id = $2', [teamId, adapterId]);
}

/** Null: no such version in this team. */
export async function getAdapterVersion(
  db: Database,
  teamId: string,
  adapterId: string,
  number: number,
): Promise<AdapterVersion | null> {
  const versions = await readVersions(db, 'AND v.adapter_id = $2 AND v.number = $3', [
    teamId,
    adapterId,
    number,
  ]);
  return versions[0] ?? null;
}

/** Every fine-tuned model of a team, newest first. */
export async function listFineTunedModels(db: Database, teamId: string): Promise<AdapterVersion[]> {
  return await readVersions(db, '', [teamId]);
}

/** The version behind a model name `ft:…`. Null: no such model in this team. */
export async function findFineTunedModel(
  db: Database,
  teamId: string,
  modelName: string,
): Promise<AdapterVersion | null> {
  const versions = await readVersions(db, 'AND v.model_name = $2', [teamId, modelName]);
  return versions[0] ?? null;
}
