import { readdir } from 'node:fs/promises';
import { runExclusive } from '../../database/run-exclusive.ts';
import type { DeployServices, DeployTimes } from './deploy-times.ts';
import { removeVersions, targetFolder } from './shared-folder.ts';

/**
 * Removes from the shared folder what targets without a row have left, such as those of which a file could not be removed. Versions that no
 * runtime was seen without stay, since one may still read them: of a target whose runtime never answered, and of another Graft or a newer state of the
 * database, if the operator has let this one see their folder. Those of leftovers that the operator has dismissed go, too. One process at a time does it.
 */
export async function sweepFolder(
  services: Pick<DeployServices, 'sql' | 'db' | 'env' | 'log'>,
  { filesSeconds }: Pick<DeployTimes, 'filesSeconds'>,
  stopping: AbortSignal,
): Promise<void> {
  const root = services.env.deployFolder;
  if (root === undefined) return;
  await runExclusive(services, 'deploy-folder', async () => {
    for (const teamId of await foldersIn(root, 'team-')) {
      // Before the rows: a target has its row before it has a folder.
      const ids = await foldersIn(`${root}/${teamId}`, 'dpt-');
      if (ids.length === 0) continue;
      if (stopping.aborted) return;
      const rows = await services.db.deployTarget.findMany({ where: { teamId }, select: { id: true } });
      const known = new Set(rows.map(({ id }) => id));
      for (const id of ids.filter((each) => !known.has(each)))
        await removeVersions(targetFolder(root, { teamId, id }), {
          afterSeconds: filesSeconds,
          others: 'unknown',
        }).catch((err: unknown) =>
          services.log.warn({ err, teamId, target: id }, 'files of a removed deploy target remain'),
        );
    }
    const dismissed = await services.db.deployLeftover.findMany({
      where: { dismissedAt: { not: null } },
      select: { id: true, teamId: true },
    });
    for (const { id, teamId } of dismissed) {
      if (stopping.aborted) return;
      const folder = targetFolder(root, { teamId, id });
      const isGone = await removeVersions(folder, { afterSeconds: 0, others: 'unloaded' }).catch(() => false);
      if (isGone) await services.db.deployLeftover.deleteMany({ where: { teamId, id } });
    }
  });
}

/** Folders whose names begin with `prefix`; none if the folder cannot be read. */
async function foldersIn(folder: string, prefix: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((each) => each.isDirectory() && each.name.startsWith(prefix)).map(({ name }) => name);
}
