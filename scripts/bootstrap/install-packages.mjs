import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startChild } from './child-processes.mjs';
import { BootstrapError } from './steps.mjs';

/** Record of the bootstrap's finished steps for this tree. It lies in node_modules, so that deleting them deletes it too. */
const stampFile = (root) => path.join(root, 'node_modules/.cache/graft/bootstrap.json');

/** @returns {Record<string, string>} */
function readStamps(root) {
  try {
    return JSON.parse(readFileSync(stampFile(root), 'utf8'));
  } catch {
    return {};
  }
}

function writeStamp(root, name, value) {
  mkdirSync(path.dirname(stampFile(root)), { recursive: true });
  writeFileSync(stampFile(root), `${JSON.stringify({ ...readStamps(root), [name]: value }, null, 2)}\n`);
}

/** SHA-256 over files, in the order given. */
export function hashFiles(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

/**
 * `npm ci` when the lock file is not the one that node_modules was installed from.
 * @param {string} root
 * @param {(line: string) => void} report
 * @param {number} progressMs how often to report progress
 */
export async function installPackages(root, report, progressMs = 3_000) {
  const lock = hashFiles([path.join(root, 'package-lock.json')]);
  if (readStamps(root).packages === lock && existsSync(path.join(root, 'node_modules/esbuild'))) return false;
  const count = countPackages(root);
  report(`npm ci: about ${count().total} packages`);
  const ticker = setInterval(() => {
    const { installed, total } = count();
    if (installed > 0) report(`npm ci: ${installed} of about ${total} packages`);
  }, progressMs);
  try {
    await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], root);
  } finally {
    clearInterval(ticker);
  }
  writeStamp(root, 'packages', lock);
  return true;
}

/**
 * How far `npm ci` has come. It prints nothing itself without a terminal.
 * @param {string} root
 * @returns {() => { installed: number, total: number }}
 */
function countPackages(root) {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const folders = Object.entries(packages)
    .filter(([folder, { link }]) => folder.includes('node_modules/') && !link)
    // Binaries for other systems are not installed.
    .filter(([, { os, cpu }]) => fits(os, process.platform) && fits(cpu, process.arch))
    .map(([folder]) => path.join(root, folder, 'package.json'));
  return () => ({ installed: folders.filter((file) => existsSync(file)).length, total: folders.length });
}

/** npm's lists: `["linux"]`, or `["!win32"]` for all but these. */
function fits(list, own) {
  if (!list) return true;
  return list.includes(own) || (list.every((name) => name.startsWith('!')) && !list.includes(`!${own}`));
}

/** Runs a command quietly; its last lines are the error message when it fails. */
function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = startChild(command, args, { cwd, env: process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let tail = '';
    const keep = (chunk) => {
      tail = (tail + chunk).slice(-3000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => reject(new BootstrapError(`${command} does not start: ${error.message}`)));
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new BootstrapError(`${command} ${args.join(' ')} failed:\n${tail.trim()}`));
    });
  });
}
