import { readdir, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { dataFolder } from '@graft/service/data-folder';
import {
  type BackupManifest,
  copied,
  copyFolder,
  databaseName,
  folderName,
  readManifest,
} from './back-up.ts';
import { decryptSecrets, secretsName, writeSecrets } from './kept-secrets.ts';
import { restoreDatabase } from './restore-database.ts';

/**
 * Restores a backup into an empty database and an empty data folder; neither is changed when the other is not empty. The rows are inserted
 * in one transaction, after the files; where that fails, or is `aborted`, the files are removed again. A restore is all or nothing, except
 * that a killed one may leave files. The leases of jobs that were running expired long ago: the first worker sweeps them, and they resume
 * from the newest checkpoint in the backup, or start over.
 */
export async function restore(
  folder: string,
  target: { databaseUrl: string; dataDir: string; passphrase: string | null },
  aborted?: AbortSignal,
): Promise<BackupManifest & { foreignTables: string[] }> {
  const manifest = await readManifest(folder);
  const present = await readdir(target.dataDir).catch(() => []);
  // The embedded Postgres of the target may be there already: it is running.
  const { mark } = dataFolder(target.dataDir);
  const { secrets: ofSecrets, artifacts, checkpoints } = dataFolder(target.dataDir);
  const places = [...copied.map((name) => join(target.dataDir, name)), mark];
  // Copied by hand before, where the backup leaves them out.
  if (manifest.secrets !== 'left out') places.push(ofSecrets);
  const inTheWay = present.filter((name) => places.includes(join(target.dataDir, name)));
  if (inTheWay.length > 0)
    throw new Error(`${target.dataDir} is not empty (${inTheWay.join(', ')}): restore into a new folder.`);
  if (manifest.secrets === 'encrypted' && target.passphrase === null)
    throw new Error(
      `The secrets in ${join(folder, secretsName)} are encrypted: name the file with the passphrase by --passphrase-file.`,
    );
  const secrets = manifest.secrets === 'encrypted' ? await decryptSecrets(folder, target.passphrase!) : null;
  const copyFiles = async () => {
    await copyFolder(join(folder, folderName), target.dataDir, {
      except: '',
      count: { files: 0, bytes: 0 },
      // Trainers of another user read some of these; the folders above let nobody else pass.
      modeOf: (file) =>
        [artifacts, checkpoints].some((place) => file.startsWith(place + sep)) ? 0o644 : 0o600,
      aborted,
    });
    if (secrets) await writeSecrets(target.dataDir, secrets);
  };
  const rows = { folder: join(folder, databaseName), contents: manifest.database, beforeRows: copyFiles };
  try {
    return { ...manifest, foreignTables: await restoreDatabase(target.databaseUrl, rows, aborted) };
  } catch (error) {
    for (const place of places) await rm(place, { recursive: true, force: true });
    throw aborted?.aborted ? aborted.reason : error;
  }
}
