/**
 * npm run backup -- FOLDER    backs up database and data folder of the Graft whose settings are in the environment or .env,
 *                             while it runs, into a new folder
 * npm run restore -- FOLDER   puts such a backup into the empty database and data folder of those settings
 */
import path from 'node:path';
import { acquirePostgres, createLogger, loadServiceEnv } from '@graft/service';
import { loadSettings } from '../bootstrap/load-settings.mjs';
import { backUp } from './back-up.ts';
import { restore } from './restore.ts';

const [verb, folder] = process.argv.slice(2);
if ((verb !== 'backup' && verb !== 'restore') || folder === undefined) {
  console.error('usage: npm run backup -- FOLDER, npm run restore -- FOLDER');
  process.exit(2);
}
try {
  loadSettings();
  const env = loadServiceEnv();
  const postgres = await acquirePostgres(env, createLogger({ level: 'warn', name: 'graft-backup' }));
  try {
    const place = path.resolve(process.env.INIT_CWD ?? '.', folder);
    const { dataDir } = env;
    const artifactsUrl = process.env.ARTIFACTS_URL || null;
    const run = { databaseUrl: postgres.ownerUrl, dataDir, artifactsUrl };
    const { files, bytes, createdAt, ...rest } =
      verb === 'backup' ? await backUp(run, place) : await restore(place, run);
    const what = `the database and ${files} files (${(bytes / 1e6).toFixed(1)} MB)`;
    console.log(
      verb === 'backup'
        ? `Backed up ${what} to ${place}.`
        : `Restored ${what} of ${createdAt} from ${place}.`,
    );
    if (rest.artifactsUrl)
      console.log(
        `Files, artifacts and checkpoints lie in ${rest.artifactsUrl}: ${verb === 'backup' ? 'copy the bucket now, after the database' : 'restore the bucket too, before Graft starts'}.`,
      );
  } finally {
    await postgres.release();
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
