/**
 * The step before API and workers where neither may migrate, as with docker compose: by the login that owns the tables (DATABASE_URL)
 * it brings the schema up to date, grants the roles what they need, and makes the logins `graft_app` and `graft_worker`. Each one's
 * password lies in `FOLDER/graft_app/password` and `FOLDER/graft_worker/password`, and is made if it is missing.
 *
 *   node scripts/compile/run.mjs scripts/start/migrate.ts FOLDER
 */
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connectOwner } from '@graft/service/database';
import { loadServiceEnv } from '@graft/service/environment';
import { createLogger } from '@graft/service/logger';
import { setLogins } from '@graft/service/postgres';
import { prepareDatabase } from '@graft/service/services';

/** The user that API and workers run as in their containers. */
const graftUser = 1000;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: migrate.ts FOLDER');
const env = loadServiceEnv();
const log = createLogger({ level: env.logLevel, name: 'graft-migrate' });
const owner = connectOwner(env.migrationDatabaseUrl ?? env.databaseUrl!, log);
await prepareDatabase(owner);
await setLogins(owner.sql, {
  graft_app: passwordIn(path.join(folder, 'graft_app')),
  graft_worker: passwordIn(path.join(folder, 'graft_worker')),
});
await owner.sql.end();
log.info('the database is ready for API and workers');

/** Each in a separate folder, which is mounted where that login is used and nowhere else. */
function passwordIn(own: string): string {
  const file = path.join(own, 'password');
  if (!existsSync(file)) {
    mkdirSync(own, { recursive: true });
    writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o400 });
    if (process.getuid?.() === 0) chownSync(file, graftUser, graftUser);
  }
  return readFileSync(file, 'utf8');
}
