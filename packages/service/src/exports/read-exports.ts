import type { Database } from '../database/database.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import { type AdapterExport, exportOf } from './export.ts';

export async function getExport(
  { db }: Database,
  teamId: string,
  { versionId, id }: { versionId: string; id: string },
): Promise<AdapterExport | null> {
  const row = await db.adapterExport.findFirst({ where: { teamId, versionId, id } });
  return row && exportOf(row);
}

/** Lists the exports of a version, newest first. Throws GraftError `invalid_cursor`. */
export async function listExports(
  { db }: Database,
  teamId: string,
  versionId: string,
  options: PageOptions,
): Promise<Page<AdapterExport>> {
  return await listRows(db.adapterExport, options, { where: { teamId, versionId } }, exportOf);
}
