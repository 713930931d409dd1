/**
 * `npm start`: Postgres (the embedded one without DATABASE_URL), migrations, the first key, then API and worker as
 * child processes that are started again when they die. Ctrl-C or SIGTERM stops them in order. `api` or `worker` as
 * argument runs one of them apart. Lines of log go to a file of the data folder; with --verbose, or GRAFT_LOG=stdout, to standard
 * output.
 */
import path from 'node:path';
import { loadServiceEnv } from '@graft/service/environment';
import { createLogger } from '@graft/service/logger';
import { settingReader } from '@graft/service/settings';
import { loadSettings } from '../bootstrap/load-settings.mjs';
import { type Program, runPrograms } from './run-programs.ts';
import { openStartLog } from './start-log.ts';

const programs: Program[] = [
  { name: 'api', entry: new URL('../../apps/api/src/main.ts', import.meta.url), patience: 30_000 },
  { name: 'worker', entry: new URL('../../apps/worker/src/main.ts', import.meta.url), patience: 90_000 },
];

const { verbose, selected } = readArguments(process.argv.slice(2));

// A closed terminal accepts no further lines: stopping continues without it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
try {
  loadSettings();
  const env = loadServiceEnv();
  const { read, check } = settingReader(process.env);
  const logTarget = read('GRAFT_LOG');
  check();
  const name = selected.length > 1 ? 'graft' : selected[0]!.name;
  const startLog = openStartLog(env.dataDir, name, verbose || logTarget === 'stdout');
  process.exitCode = await runPrograms({
    root: path.join(import.meta.dirname, '..', '..'),
    programs: selected,
    env,
    log: createLogger({ level: env.logLevel, name: 'graft-start' }, startLog.destination),
    startLog,
    // From the first moment, so that a signal during the start is not lost.
    stopping: stopRequest(),
  });
} catch (error) {
  console.error(`Graft cannot start. ${(error as Error).message}`);
  process.exitCode = 1;
}

function readArguments(given: string[]): { verbose: boolean; selected: Program[] } {
  const names = given.filter((argument) => argument !== '--verbose');
  const selected = programs.filter(({ name }) => names.length === 0 || names[0] === name);
  if (selected.length === 0 || names.length > 1) {
    console.error(
      'usage: npm start, npm run start:api or npm run start:worker, each with -- --verbose to see the log',
    );
    process.exit(2);
  }
  return { verbose: names.length < given.length, selected };
}

/**
 * Resolves to null at the first SIGINT or SIGTERM. Ctrl-C may arrive twice, from the terminal and from a parent that
 * passes it on: only a later one means "at once", and ends everything without waiting.
 */
function stopRequest(): { promise: Promise<null>; readonly requested: boolean } {
  let since: number | null = null;
  const promise = new Promise<null>((resolve) => {
    const onSignal = () => {
      if (since !== null && performance.now() - since > 1_500) process.exit(130);
      since ??= performance.now();
      resolve(null);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
  return {
    promise,
    get requested() {
      return since !== null;
    },
  };
}
