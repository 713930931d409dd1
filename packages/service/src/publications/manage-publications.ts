import { GraftError } from '@graft/peft-core/config';
import { checkRepositoryName } from '@graft/peft-core/files';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inRowTransaction, inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import { tryLockName } from '../database/wait-for-row.ts';
import { Prisma } from '../generated/client.ts';
import { newId } from '../ids.ts';
import { holdExitMaker, makerOf } from '../keys/exits.ts';
import { type Publication, publicationOf } from './publication.ts';
import { checkPublishable, getPublishingRules } from './publishing-rules.ts';

export interface NewPublication {
  versionId: string;
  /** Null: the version's own files. */
  exportId: string | null;
  /** `owner/name` */
  repository: string;
  isPublic: boolean;
  card: boolean;
}

/** Maximum number of publications of a team that wait or are being sent. */
export const maxOpenPublications = 50;
/** Maximum number of publications of a version; each has a row until it is deleted. */
export const maxPublications = 100;

/**
 * ∅ → queued, with its audit row. If the version or export has been published to this repository in the same way, or is to be, returns that
 * publication (`created` false); one that has failed, or was made in another way, is queued again. Throws GraftError `invalid_repository`,
 * `hub_token_missing`, `repository_not_allowed`, `public_not_allowed`, `adapter_version_not_found`, `export_not_found`, `export_not_ready`, `publication_running`, `too_many_publications`.
 */
export async function createPublication(
  db: Database,
  teamId: string,
  request: NewPublication,
  by: Actor,
): Promise<{ publication: Publication; created: boolean }> {
  const { versionId, exportId, repository, isPublic, card } = request;
  checkRepositoryName(repository);
  const name = `graft:publications:${teamId}`;
  return await inRowTransaction(db, name, async (tx) => {
    await holdExitMaker(tx, teamId, by);
    // The second of two concurrent requests of a team fails here, and is retried.
    await tryLockName(tx, name);
    await checkToken(tx, teamId);
    checkPublishable(await getPublishingRules({ db: tx }, teamId), request);
    const format = await holdSource(tx, teamId, request);
    const before = await findSame(tx, teamId, request);
    if (before?.status === 'queued' || before?.status === 'running') {
      if (before.isPublic === isPublic && before.card === card)
        return { publication: publicationOf(before), created: false };
      throw new GraftError(
        'publication_running',
        `${before.id} publishes the same to ${before.repository} with other settings: await or delete it first.`,
        { param: 'repository' },
      );
    }
    if (before?.status === 'succeeded' && before.isPublic === isPublic && before.card === card)
      return { publication: publicationOf(before), created: false };
    await checkCounts(tx, teamId, versionId, before === null);
    const detail = { version: versionId, export: exportId, repository, public: isPublic };
    const queued = { status: 'queued', repository, isPublic, card, ...makerOf(by), attempts: 0 };
    const nothing = {
      commit: null,
      url: null,
      changed: null,
      bytes: null,
      cardText: null,
      error: Prisma.DbNull,
    };
    const times = { nextAttemptAt: new Date(), failingSince: null, startedAt: null, finishedAt: null };
    const row = before
      ? await tx.publication.update({
          where: { teamId_id: { teamId, id: before.id } },
          data: { ...queued, ...nothing, ...times },
        })
      : await tx.publication.create({
          data: { id: newId('publication'), teamId, versionId, exportId, format, ...queued },
        });
    await insertAudit(tx, teamId, by, { action: 'publication.create', target: row.id, detail });
    return { publication: publicationOf(row), created: true };
  });
}

async function checkToken(tx: Transaction, teamId: string): Promise<void> {
  const found = await tx.integration.count({
    where: { teamId, type: 'huggingface', sealed: { not: null }, disabledAt: null },
  });
  if (found > 0) return;
  throw new GraftError(
    'hub_token_missing',
    'This team has no token of the Hub, or its integration is disabled: an admin of the team sets the token as the integration huggingface.',
    { param: null },
  );
}

/** Locks what is published, so that a concurrent deletion waits. Returns the format of the export; null: the version's own files. */
async function holdSource(
  tx: Transaction,
  teamId: string,
  { versionId, exportId }: NewPublication,
): Promise<string | null> {
  const version = await tx.$queryRaw<object[]>`
    SELECT 1 FROM adapter_versions WHERE team_id = ${teamId} AND id = ${versionId} AND deleted_at IS NULL FOR SHARE NOWAIT`;
  if (version.length === 0)
    throw new GraftError('adapter_version_not_found', 'The version was deleted.', { param: 'version' });
  if (exportId === null) return null;
  const [made] = await tx.$queryRaw<{ status: string; format: string }[]>`
    SELECT status, format FROM adapter_exports
    WHERE team_id = ${teamId} AND version_id = ${versionId} AND id = ${exportId} FOR SHARE NOWAIT`;
  if (!made)
    throw new GraftError(
      'export_not_found',
      `No such export of the version: ${exportId.slice(0, 64)}; it may have expired. Make it again.`,
      { param: 'export_id' },
    );
  if (made.status !== 'succeeded')
    throw new GraftError(
      'export_not_ready',
      `The export is ${made.status}, so it has no files: ${made.status === 'queued' || made.status === 'running' ? 'await it' : 'make another one'}.`,
      { param: 'export_id' },
    );
  return made.format;
}

async function findSame(
  tx: Transaction,
  teamId: string,
  { versionId, exportId, repository }: NewPublication,
) {
  return await tx.publication.findFirst({
    where: { teamId, versionId, exportId, repository: { equals: repository, mode: 'insensitive' } },
  });
}

async function checkCounts(
  tx: Transaction,
  teamId: string,
  versionId: string,
  isNew: boolean,
): Promise<void> {
  const refusal = (message: string) => new GraftError('too_many_publications', message, { param: null });
  const open = await tx.publication.count({ where: { teamId, status: { in: ['queued', 'running'] } } });
  if (open >= maxOpenPublications)
    throw refusal(
      `This team has ${open} publications that wait or are being sent, and ${maxOpenPublications} is the limit; try again when one has ended, or delete one.`,
    );
  if (isNew && (await tx.publication.count({ where: { teamId, versionId } })) >= maxPublications)
    throw refusal(`The version has ${maxPublications} publications, which is the limit; delete one.`);
}

export async function getPublication(
  { db }: Database,
  teamId: string,
  { versionId, id }: { versionId: string; id: string },
): Promise<Publication | null> {
  const row = await db.publication.findFirst({ where: { teamId, versionId, id } });
  return row && publicationOf(row);
}

/** Lists the publications of a version, newest first. Throws GraftError `invalid_cursor`. */
export async function listPublications(
  { db }: Database,
  teamId: string,
  versionId: string,
  options: PageOptions,
): Promise<Page<Publication>> {
  return await listRows(db.publication, options, { where: { teamId, versionId } }, publicationOf);
}

/**
 * Removes the record of a publication. One that is being sent is interrupted within seconds; it may have made its commit by then. Files on
 * the Hub remain. False: it does not exist.
 */
export async function deletePublication(
  db: Database,
  teamId: string,
  { versionId, id }: { versionId: string; id: string },
  by: Actor,
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const row = await tx.publication.findFirst({ where: { teamId, versionId, id } });
    if (!row) return false;
    const { count } = await tx.publication.deleteMany({ where: { teamId, id } });
    if (count === 0) return false;
    const { repository, status } = row;
    await insertAudit(tx, teamId, by, {
      action: 'publication.delete',
      target: id,
      detail: { repository, status },
    });
    return true;
  });
}
