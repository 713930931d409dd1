// Sets Graft up: packages (Postgres' binaries among them), TensorFlow, Prisma client, the compiled programs, dashboard and guide, base
// model. Plain JavaScript, because nothing is installed when it begins. Doing it again costs a second.
//
//   node scripts/bootstrap/main.mjs [--only STEP] [--run FILE.ts [-- ARGUMENTS]]
//
// GRAFT_SKIP_MODEL=1 leaves out the base model.
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from './cache-folder.mjs';
import { endChildren, startChild, whenChildStarts, whenParentEnds } from './child-processes.mjs';
import { installPackages } from './install-packages.mjs';
import { BootstrapError, checkNode, nothingToDo, step } from './steps.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const runner = path.join(root, 'scripts/compile/run.mjs');

/** Every step, in order; a step answers whether it had anything to do. */
const steps = {
  packages: (report) => installPackages(root, report),
  tensorflow: async (report) => {
    const { ensureTensorflow } = await import('./tensorflow.mjs');
    return (await ensureTensorflow({ log: report, cacheDir: cacheFolder(), root })).built;
  },
  confinement: async (report) => {
    const { ensureConfine } = await import('./confine.mjs');
    return await ensureConfine({ log: report, cacheDir: cacheFolder(), root });
  },
  service: (report) => runTypeScript('scripts/bootstrap/prepare-service.ts', report),
  programs: async () => {
    const { ensureCompiled } = await import('../compile/compile.mjs');
    let compiled = false;
    await ensureCompiled(root, () => {
      compiled = true;
    });
    return compiled;
  },
  dashboard: (report) => runTypeScript('scripts/web/main.ts', report),
  client: (report) => runTypeScript('scripts/cli/main.ts', report),
  model: (report) =>
    process.env.GRAFT_SKIP_MODEL ? false : runTypeScript('scripts/bootstrap/fetch-model.ts', report),
};
const titles = {
  packages: 'npm packages',
  tensorflow: 'TensorFlow',
  confinement: 'confinement of trainers',
  service: 'Prisma client and Postgres binaries',
  programs: 'compiled programs',
  dashboard: 'dashboard and guide',
  client: 'installable graft command',
  model: 'base model SmolLM2-135M-Instruct',
};

const { only, run, rest } = parse(process.argv.slice(2));
/** The program of --run, once setting up is done. */
let program = null;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal));
whenParentEnds(() => stop('SIGTERM'));
// A terminal that was closed accepts no further lines.
process.stderr.on('error', () => {});
try {
  checkNode();
  await takeSettings();
  // Imported only now, as are the settings: an old Node lacks what it imports.
  const { shareLock, withLock } = await import('./lock.mjs');
  const onWait = (pid) =>
    process.stderr.write(
      `… another process (${pid}) sets Graft up in this folder: waiting until it is done\n`,
    );
  const lock = { path: path.join(root, '.setup-lock'), patienceMs: 2_000, pollMs: 200, onWait };
  const worked = await withLock(lock, async () => {
    whenChildStarts((pid) => shareLock(lock.path, pid));
    return await setUp();
  });
  whenChildStarts(() => {});
  if (!worked && !run) nothingToDo(only === null ? 'Graft is set up' : titles[only]);
} catch (error) {
  // A known fault is one clear message; anything else keeps its stack.
  const known =
    error instanceof BootstrapError || error?.name === 'BootstrapError' || error?.expected === true;
  process.stderr.write(`\n✗ ${known ? error.message : (error?.stack ?? error)}\n`);
  process.exit(1);
}
if (run) runAfterwards(run, rest);

/** Answers whether there was anything to do. */
async function setUp() {
  let worked = false;
  for (const [name, work] of Object.entries(steps)) {
    const needed = only === null || only === name || name === 'packages';
    if (needed && (await step(titles[name], work))) worked = true;
  }
  return worked;
}

async function takeSettings() {
  const { bootstrapSettings, loadSettings } = await import('./load-settings.mjs');
  try {
    loadSettings(process.env, root, bootstrapSettings);
  } catch (error) {
    // A file that is named and not there: the service and the command report it.
    if (error?.code !== 'ENOENT') throw error;
  }
}

function parse(args) {
  const split = args.indexOf('--run');
  const own = split < 0 ? args : args.slice(0, split);
  const at = own.indexOf('--only');
  const only = at < 0 ? null : own[at + 1];
  if (only !== null && !(only in steps)) {
    process.stderr.write(`--only takes one of ${Object.keys(steps).join(', ')}\n`);
    process.exit(2);
  }
  const [file, ...given] = split < 0 ? [null] : args.slice(split + 1);
  return { only, run: file, rest: given[0] === '--' ? given.slice(1) : given };
}

/** Runs a step written in TypeScript. Its lines are progress; without any it had nothing to do. */
function runTypeScript(file, report) {
  return new Promise((resolve, reject) => {
    const child = startChild(process.execPath, [runner, file], {
      cwd: root,
      env: { ...process.env, GRAFT_CACHE_DIR: cacheFolder() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let reported = false;
    let errors = '';
    let pending = '';
    child.stdout.on('data', (chunk) => {
      const lines = (pending + chunk).split('\n');
      pending = lines.pop() ?? '';
      for (const line of lines.filter(Boolean)) {
        reported = true;
        report(line);
      }
    });
    child.stderr.on('data', (chunk) => {
      errors = (errors + chunk).slice(-3000);
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve(reported) : reject(new BootstrapError(errors.trim())),
    );
  });
}

/** Hands over to a TypeScript entry: its terminal, its signals, its exit code. */
function runAfterwards(file, args) {
  if (!existsSync(path.join(root, file))) {
    process.stderr.write(`✗ there is no ${file}\n`);
    process.exit(2);
  }
  // The channel lets it notice when this process is killed.
  program = startChild(process.execPath, [runner, file, ...args], {
    cwd: root,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  program.once('exit', (code, signal) => process.exit(code ?? exitCodeOf(signal)));
}

/** Passes a signal on to the program, whose exit code is then this one's; while it sets up it ends what it has started, and itself. */
function stop(signal) {
  // Ctrl-C in a terminal reaches the program by itself.
  if (program && signal === 'SIGINT' && process.stdin.isTTY) return;
  endChildren(signal);
  if (!program) process.exit(exitCodeOf(signal));
}

function exitCodeOf(signal) {
  return 128 + constants.signals[signal];
}
