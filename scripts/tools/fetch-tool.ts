/**
 * Programs of others that checks run: those on the PATH, else fetched once from a package registry into the cache folder. Nothing
 * is installed into the system, and no rights are needed. The registry's client verifies what it fetches.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';
import { makeEnvironment } from '../golden/environment/make-environment.ts';

const tools = () => join(cacheFolder(), 'tools');

/**
 * A program of a Debian package: the one on the PATH, else that of the package, unpacked into `<cache>/tools` under a name with
 * its version and hash. Throws one line where there is neither.
 */
function debianTool(name: string, packageName: string, path: string): string {
  const onPath = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
  if (onPath.status === 0) return onPath.stdout.trim();
  const kept = existsSync(tools())
    ? readdirSync(tools()).filter((it) => it.startsWith(`${packageName}_`))
    : [];
  for (const folder of kept.sort().reverse()) {
    const file = join(tools(), folder, path);
    if (existsSync(file)) return file;
  }
  return unpackOnce(packageName, (folder) => {
    const archive = downloadPackage(packageName, folder);
    const hash = createHash('sha256').update(readFileSync(archive)).digest('hex').slice(0, 12);
    execFileSync('dpkg-deb', ['-x', archive, join(folder, 'tree')], { stdio: 'pipe' });
    return { tree: join(folder, 'tree'), name: `${basename(archive, '.deb')}_${hash}`, file: path };
  });
}

/** With the system's package lists, or, where they are missing or old, with newly fetched ones. */
function downloadPackage(packageName: string, folder: string): string {
  const lists = join(folder, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  const own = [
    '-o',
    `Dir::State::lists=${lists}`,
    '-o',
    `Dir::Cache=${folder}`,
    '-o',
    'APT::Sandbox::User=root',
  ];
  const apt = (args: string[]) => spawnSync('apt-get', args, { cwd: folder, encoding: 'utf8' });
  let ran = apt(['download', packageName]);
  if (ran.status !== 0) {
    apt([...own, 'update']);
    ran = apt([...own, 'download', packageName]);
  }
  const archive = readdirSync(folder).find((file) => file.endsWith('.deb'));
  if (archive) return join(folder, archive);
  const reason = ran.error ? ran.error.message : `${ran.stderr}`.trim().split('\n').at(-1);
  throw new Error(
    `${packageName} is not here and cannot be fetched (${reason}). Install it, on Debian by: apt-get install ${packageName}`,
  );
}

/** Unpacks beside the place where it will be, so that a run that is cut off, or two at once, leave nothing half-made. */
function unpackOnce(
  what: string,
  unpack: (folder: string) => { tree: string; name: string; file: string },
): string {
  const folder = join(tools(), `.${what.replaceAll('/', '-')}.${randomBytes(4).toString('hex')}`);
  mkdirSync(folder, { recursive: true });
  try {
    const { tree, name, file } = unpack(folder);
    const place = join(tools(), name);
    if (!existsSync(place)) renameSync(tree, place);
    return join(place, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const promtool = () => debianTool('promtool', 'promtool', 'usr/bin/promtool');

export const kustomize = () => debianTool('kustomize', 'kustomize', 'usr/bin/kustomize');

/** Docker's plugin, called by itself; it needs no engine to check a file. */
export const dockerCompose = () =>
  debianTool('docker-compose', 'docker-compose', 'usr/libexec/docker/cli-plugins/docker-compose');

/** A Python that can import `kubernetes_validate`, which holds the JSON schemas of every release of Kubernetes. */
export const kubernetesValidatePython = () =>
  pythonTool('kubernetes-validate', 'requirements-kubernetes.txt');

/** A Python that can import `scim2_tester`, which tries servers of SCIM 2.0, with a client of that protocol. */
export const scimTesterPython = () => pythonTool('scim-tester', 'requirements-scim.txt');

async function pythonTool(name: string, requirements: string): Promise<string> {
  const requirementsFile = join(import.meta.dirname, requirements);
  const hash = createHash('sha256').update(readFileSync(requirementsFile)).digest('hex').slice(0, 12);
  const folder = join(tools(), `${name}-${hash}`);
  const python = join(folder, 'bin', 'python');
  if (!existsSync(python))
    await makeEnvironment({ python: 'python3', requirementsFile, folder, report: () => {} });
  return python;
}

/** Node itself, of exactly this version, from its npm package. */
export function nodeBinary(version: string): string {
  if (process.version === `v${version}`) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const kept = join(tools(), `${name}-${version}`, 'bin', 'node');
  if (existsSync(kept)) return kept;
  return unpackOnce(name, (folder) => {
    const args = ['pack', `${name}@${version}`, '--silent', '--pack-destination', folder];
    const archive = execFileSync('npm', args, { encoding: 'utf8', cwd: folder }).trim().split('\n').at(-1)!;
    execFileSync('tar', ['-xzf', join(folder, archive), '-C', folder]);
    return { tree: join(folder, 'package'), name: `${name}-${version}`, file: 'bin/node' };
  });
}
