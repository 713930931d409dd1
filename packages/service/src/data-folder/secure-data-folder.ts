import { chmod, mkdir, stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import { dataFolder } from './data-folder.ts';

/**
 * Creates the data folder and its subfolders, or restricts existing ones: no other user may list them. A process of another user may
 * traverse the folders on the way to its own files, whose path it knows, but not list them. `passable` names these: the data folder (it
 * contains the embedded Postgres when Graft runs as root), or also the `folders` in it (trainers that run as another user). Folders of
 * another owner are left unchanged and logged.
 */
export async function secureDataFolder(
  root: string,
  log: Logger,
  { passable }: { passable: 'nothing' | 'data folder' | 'folders' },
): Promise<void> {
  const { files, artifacts, staging, checkpoints, exports, exportStaging, slots, secrets, probes } =
    dataFolder(root);
  await secure(root, passable !== 'nothing', log);
  for (const folder of [artifacts, staging, checkpoints, exportStaging, slots]) {
    await secure(folder, passable === 'folders', log);
  }
  for (const folder of [files, exports, secrets, probes]) await secure(folder, false, log);
}

async function secure(folder: string, passable: boolean, log: Logger): Promise<void> {
  await mkdir(folder, { recursive: true, mode: passable ? 0o711 : 0o700 });
  const { mode, uid } = await stat(folder);
  const isWide = (mode & 0o066) !== 0;
  if (!isWide && (!passable || (mode & 0o011) === 0o011)) return;
  const was = (mode & 0o777).toString(8);
  if (uid !== process.getuid?.()) {
    log.warn(
      `${folder} belongs to another user (mode ${was}): users with access to it can read the data of teams`,
    );
    return;
  }
  const wanted = passable ? 0o711 : 0o700;
  await chmod(folder, wanted);
  log.info(`${folder} had mode ${was}: it has ${wanted.toString(8)} now`);
}
