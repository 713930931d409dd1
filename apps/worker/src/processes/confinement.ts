import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Device } from '../devices.ts';
import type { ChildUser } from './child-user.ts';

/** The layers that isolate a child from the machine; apps/worker/native/confine.cc applies them. */
const layerNames = [
  'user',
  'capabilities',
  'network-namespace',
  'no-new-privileges',
  'files',
  'signals',
  'system-calls',
] as const;
export type Layer = (typeof layerNames)[number];

/** GRAFT_TRAINER_SANDBOX. `required`: a worker does not start on a machine that lacks an essential layer. */
export type SandboxMode = 'auto' | 'required' | 'off';
/** With these layers a child reaches no network, no other process, and no file except its own. */
const essential: readonly Layer[] = ['no-new-privileges', 'files', 'system-calls'];

const root = join(import.meta.dirname, '../../../..');
const source = join(import.meta.dirname, '../../native/confine.cc');

export interface Confinement {
  /** The program that confines children. Null: not available, so children may only have a separate user. */
  program: string | null;
  /** The layers that take effect on this machine. */
  layers: readonly Layer[];
}

/** How the children of one slot are started. */
export interface Sandbox extends Confinement {
  /** The user that they run as; null: the user of this process. */
  user: ChildUser | null;
  /** Paths of base models, and for the generator also of adapters. */
  reads: readonly string[];
  cacheDir: string;
  /** Parent of the private folder of each child. */
  folder: string;
}

/** Path where the bootstrap installs the program that it compiles from this source. */
export function confineProgram(cacheDir: string): string {
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12);
  return join(cacheDir, 'confine', `${digest}-${process.platform}-${process.arch}`, 'confine');
}

/** Detects the supported layers. Throws an Error for the operator where `mode` requires more. */
export async function findConfinement(mode: SandboxMode, cacheDir: string): Promise<Confinement> {
  const none: Confinement = { program: null, layers: [] };
  if (mode === 'off') return none;
  const program = process.platform === 'linux' ? confineProgram(cacheDir) : null;
  const found = program !== null && existsSync(program) ? { ...none, program } : none;
  const layers = found.program === null ? [] : await layersOf(found.program);
  const missing = essential.filter((layer) => !layers.includes(layer));
  if (mode === 'required' && missing.length > 0)
    throw new Error(
      `GRAFT_TRAINER_SANDBOX is "required", and this machine cannot confine trainers: ${
        found.program === null
          ? 'the program for it is missing (run node scripts/bootstrap/main.mjs on Linux with a C++ compiler)'
          : `it lacks ${missing.join(', ')}`
      }.`,
    );
  return layers.length === 0 ? none : { ...found, layers };
}

/** The essential layers that are not in effect. */
export function missingLayers({ layers }: Pick<Confinement, 'layers'>): Layer[] {
  return essential.filter((layer) => !layers.includes(layer));
}

async function layersOf(program: string): Promise<Layer[]> {
  const printed: string[] = await promisify(execFile)(program, ['--report']).then(
    ({ stdout }) => stdout.split('\n'),
    () => [],
  );
  return layerNames.filter((layer) => printed.includes(layer));
}

/** Checks whether the user can reach a file or folder through all its parent folders. */
export async function canReach(program: string | null, user: ChildUser, path: string): Promise<boolean> {
  const ask = ['/bin/sh', '-c', 'test -x "$0" -o -r "$0"', path] as const;
  const { uid, gid } = user;
  // A worker without root has ambient capabilities, which its children inherit and the program drops.
  const asked = program
    ? promisify(execFile)(program, ['--uid', `${uid}`, '--gid', `${gid}`, '--run', '/', '--', ...ask])
    : promisify(execFile)(ask[0], ask.slice(1), { uid, gid, cwd: '/' });
  return await asked.then(
    () => true,
    () => false,
  );
}

/** Paths that another user must be able to reach to start children. */
export function neededByAll(cacheDir: string): string[] {
  const code = [process.execPath, join(root, 'package.json'), join(root, 'node_modules/@tensorflow')];
  return [
    ...code,
    ...[join(cacheDir, 'tensorflow'), join(cacheDir, 'models')].filter((path) => existsSync(path)),
  ];
}

/** The program's arguments for starting a child, up to and including `--`. */
export function confineArguments(
  { layers, user, cacheDir }: Sandbox,
  child: { entry: URL; device: Device; rules: { reads: readonly string[]; writes: readonly string[] } },
): string[] {
  const { entry, device, rules } = child;
  const file = fileURLToPath(entry);
  // In development, esbuild compiles sources in a separate process and caches them in a shared folder.
  const isDevelopment = file.endsWith('.ts');
  const compiledSources = join(tmpdir(), `tsx-${user?.uid ?? process.getuid!()}`);
  const flag = (name: string) => (path: string) => [`--${name}`, path];
  return [
    ...(user ? ['--uid', `${user.uid}`, '--gid', `${user.gid}`] : []),
    '--need',
    [...layers, ...(user ? ['user'] : [])].join(','),
    ...[process.execPath, ...systemPrograms].flatMap(flag('run')),
    ...[...systemFiles, ...ownCode(), dirname(file), join(cacheDir, 'tensorflow')].flatMap(flag('read')),
    ...[join(cacheDir, 'models'), join(cacheDir, 'digests'), ...rules.reads].flatMap(flag('read')),
    // The child raises its oom_score_adj, so that the kernel kills it first when memory runs out.
    ...[...rules.writes, '/proc/self/oom_score_adj'].flatMap(flag('write')),
    ...['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom'].flatMap(flag('device')),
    ...(device.kind === 'gpu' ? ['--unix-sockets', ...gpuDevices().flatMap(flag('device'))] : []),
    ...(isDevelopment
      ? ['--processes', '--write', compiledSources, '--run', join(root, 'node_modules')]
      : []),
    '--',
  ];
}

const systemPrograms = ['/lib', '/lib64', '/usr/lib', '/usr/lib64'];
/** From /etc only files that libraries read. For other processes, /proc shows a confined child only world-readable entries. */
const systemFiles = [
  '/usr/local/lib',
  '/usr/share',
  '/usr/local/cuda',
  '/opt/cuda',
  join(dirname(process.execPath), '../lib'),
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/ld.so.preload',
  '/etc/localtime',
  '/etc/timezone',
  '/etc/nsswitch.conf',
  '/etc/passwd',
  '/etc/group',
  '/etc/ssl/openssl.cnf',
  '/etc/alternatives',
  '/proc',
  '/sys/devices',
  '/sys/bus',
  '/sys/class',
  '/sys/module',
  '/sys/fs/cgroup',
  '/sys/kernel/mm',
];

/** The code of Graft, without the settings (.env) and a data folder in the checkout. */
function ownCode(): string[] {
  const folders = ['apps', 'compiled', 'node_modules', 'packages', 'scripts'];
  const files = ['package.json', 'tsconfig.json', 'tsconfig.base.json'];
  return [...folders, ...files].map((name) => join(root, name));
}

function gpuDevices(): string[] {
  const names = readdirSync('/dev').filter((name) => name.startsWith('nvidia'));
  return names.map((name) => join('/dev', name));
}

/** The path and, for a folder, the targets of the symlinks in it, as in the Hub's cache. */
export function placesOf(path: string): string[] {
  const entries = statSync(path).isDirectory() ? readdirSync(path, { withFileTypes: true }) : [];
  const links = entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => join(path, name));
  return [path, ...links.filter((link) => existsSync(link)).map((link) => realpathSync(link))];
}

export function isWithin(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(folder + sep));
}
