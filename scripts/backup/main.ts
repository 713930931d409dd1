/**
 * npm run backup -- FOLDER    backs up database and data folder of the Graft whose settings are in the environment or .env,
 *                             while it runs, into a new folder
 * npm run restore -- FOLDER   puts such a backup into the empty database and data folder of those settings
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { dataFolder } from '@graft/service/data-folder';
import { loadServiceEnv } from '@graft/service/environment';
import { createLogger } from '@graft/service/logger';
import { acquirePostgres } from '@graft/service/postgres';
import { loadSettings } from '../bootstrap/load-settings.mjs';
import { backUp } from './back-up.ts';
import { restore } from './restore.ts';

const usage = `usage: npm run backup -- FOLDER     backs up database and data folder, also of a Graft that runs, into a new folder
       npm run restore -- FOLDER    puts a backup into an empty database and an empty data folder
--passphrase-file FILE: backup encrypts GRAFT_DATA_DIR/secrets by what the file holds, 12 characters or more, and restore decrypts
them. Without it the secrets are left out: keep them apart.
Both read the settings of Graft: DATABASE_URL, GRAFT_DATA_DIR and the others, from the environment or .env.`;

const aborted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => aborted.abort(new Error(`Ended by ${signal}; nothing is left of it.`)));

const { verb, folder, passphraseFile } = readArguments(process.argv.slice(2));
try {
  loadSettings();
  const env = loadServiceEnv();
  const { dataDir } = env;
  if (verb === 'backup' && env.databaseUrl === undefined && !existsSync(dataFolder(dataDir).postgres))
    throw new Error(`There is no Graft in ${dataDir}: set GRAFT_DATA_DIR, or DATABASE_URL, as it has them.`);
  const passphrase = passphraseFile === undefined ? null : readPassphrase(passphraseFile);
  const postgres = await acquirePostgres(env, createLogger({ level: 'warn', name: 'graft-backup' }));
  try {
    const place = path.resolve(process.env.INIT_CWD ?? '.', folder);
    const artifactsUrl = process.env.ARTIFACTS_URL || null;
    const run = { databaseUrl: postgres.ownerUrl, dataDir, artifactsUrl, passphrase };
    if (verb === 'backup') {
      const made = await backUp(run, place, aborted.signal);
      console.log(`Backed up ${described(made)} to ${place}.`);
      if (made.secrets === 'left out') console.log(leftOut(dataDir));
      printBucketStep(made.artifactsUrl, 'copy the bucket now, after the database');
    } else {
      const restored = await restore(place, run, aborted.signal);
      console.log(`Restored ${described(restored)} of ${restored.createdAt} from ${place}.`);
      for (const name of restored.foreignTables)
        console.log(`The table ${name}, which is not Graft's, is left out.`);
      if (restored.secrets === 'left out') console.log(provide(dataDir));
      printBucketStep(restored.artifactsUrl, 'restore the bucket too, before Graft starts');
    }
  } finally {
    await postgres.release();
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

function readPassphrase(file: string): string {
  const passphrase = readFileSync(path.resolve(process.env.INIT_CWD ?? '.', file), 'utf8').trim();
  if (passphrase.length < 12) throw new Error(`${file} must hold a passphrase of 12 characters or more.`);
  return passphrase;
}

function leftOut(dataDir: string): string {
  return `The secrets in ${dataFolder(dataDir).secrets} are left out: keep a copy of them apart, or encrypt them by --passphrase-file. Without the pepper no key works.`;
}

function provide(dataDir: string): string {
  return `The backup holds no secrets: before Graft starts, put those of then into ${dataFolder(dataDir).secrets}, or set GRAFT_PEPPER (and GRAFT_SEALING_KEY where it was set). Without them no key, session or invitation works, and webhooks and integrations need new secrets.`;
}

function readArguments(given: string[]): {
  verb: 'backup' | 'restore';
  folder: string;
  passphraseFile: string | undefined;
} {
  let fault: string | null = null;
  try {
    const { values, positionals } = parseArgs({
      args: given,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        'passphrase-file': { type: 'string' },
      },
      allowPositionals: true,
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const [verb, folder, ...more] = positionals;
    if ((verb === 'backup' || verb === 'restore') && folder && more.length === 0)
      return { verb, folder, passphraseFile: values['passphrase-file'] };
  } catch (error) {
    fault = (error as Error).message;
  }
  console.error(fault === null ? usage : `${fault}\n${usage}`);
  process.exit(2);
}

function described({ files, bytes }: { files: number; bytes: number }): string {
  return `the database and ${files} files (${(bytes / 1e6).toFixed(1)} MB)`;
}

function printBucketStep(artifactsUrl: string | null, what: string): void {
  if (artifactsUrl) console.log(`Files, artifacts and checkpoints lie in ${artifactsUrl}: ${what}.`);
}
