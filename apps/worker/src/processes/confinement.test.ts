// A hostile model in a trainer: a child that attempts attacks, first unconfined, where every attempt succeeds, then confined. The child
// is plain JavaScript, so that it starts like a compiled trainer.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { cacheFolder } from '@graft/service/base-models';
import { createLogger } from '@graft/service/logger';
import { ensureConfine } from '../../../../scripts/bootstrap/confine.mjs';
import type { ChildUser } from './child-user.ts';
import { findConfinement, type Sandbox } from './confinement.ts';
import { ForkedProcess } from './forked-process.ts';

interface Targets {
  /** Files of the job itself. */
  reads: string;
  writes: string;
  /** Files of other jobs. */
  files: string[];
  folders: string[];
  tcp: number;
  udp: number;
  unix: string;
  pids: number[];
}

interface TestMessages {
  call: { type: 'attack'; targets: Targets };
  event: { type: 'none' };
  result: { type: 'attacked'; uid: number; text: string; succeeded: string[] };
}

const attacker = `
  import { spawnSync } from 'node:child_process';
  import dgram from 'node:dgram';
  import { linkSync, openSync, readFileSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
  import net from 'node:net';
  import { networkInterfaces } from 'node:os';
  process.send({ type: 'ready' });
  const connects = (to) => new Promise((resolve, reject) => {
    const socket = net.connect(to, () => { socket.destroy(); resolve(); });
    socket.on('error', reject);
  });
  const sends = (port) => new Promise((resolve, reject) => {
    const socket = dgram.createSocket('udp4');
    socket.on('error', reject);
    socket.send('secret', port, '127.0.0.1', (error) => { socket.close(); error ? reject(error) : resolve(); });
  });
  const listens = () => new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => { server.close(); resolve(); });
  });
  process.on('message', async ({ targets }) => {
    const { reads, writes, files, folders, tcp, udp, unix, pids } = targets;
    const parent = '/proc/' + process.ppid;
    const succeeded = [];
    const attempt = async (name, act) => { try { await act(); succeeded.push(name); } catch {} };
    const text = readFileSync(reads, 'utf8');
    writeFileSync(writes + '/adapter', 'trained');
    await attempt('environment of the worker', () => readFileSync(parent + '/environ'));
    await attempt('memory of the worker', () => openSync(parent + '/mem', 'r'));
    await attempt('addresses of the worker', () => readFileSync(parent + '/maps'));
    for (const name of ['fd/0', 'cwd', 'root', 'exe']) await attempt(name + ' of the worker', () => readlinkSync(parent + '/' + name));
    for (const file of files) await attempt('read ' + file, () => readFileSync(file));
    for (const folder of folders) await attempt('list ' + folder, () => readdirSync(folder));
    for (const folder of folders) await attempt('write into ' + folder, () => writeFileSync(folder + '/new', ''));
    await attempt('change its data', () => writeFileSync(reads, 'other'));
    await attempt('link to a file', () => symlinkSync(files[0], writes + '/link'));
    await attempt('second name of its data', () => linkSync(reads, writes + '/hard'));
    await attempt('connect by TCP', () => connects({ port: tcp, host: '127.0.0.1' }));
    await attempt('send by UDP', () => sends(udp));
    await attempt('connect to a Unix socket', () => connects(unix));
    await attempt('listen', listens);
    await attempt('ask the kernel for networks', () => networkInterfaces());
    await attempt('start a program', () => { const { error } = spawnSync('/bin/sh', ['-c', 'true']); if (error) throw error; });
    for (const pid of pids) await attempt('signal to ' + pid, () => process.kill(pid, 0));
    process.send({ type: 'attacked', uid: process.getuid(), text, succeeded });
  });
  process.on('disconnect', () => process.exit());
`;

let root: string;
let tcp: Server;
let unix: Server;
let udp: Socket;
const log = createLogger({ level: 'silent', name: 'test' });
const isLinux = process.platform === 'linux';
const isRoot = process.getuid?.() === 0;
const repository = join(import.meta.dirname, '../../../..');
const cacheDir = cacheFolder(process.env);

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'graft-confinement-'));
  await chmod(root, 0o711);
  await ensureConfine({ log: () => {}, cacheDir, root: repository });
  await mkdir(join(root, 'code'));
  await writeFile(join(root, 'code', 'child.mjs'), attacker);
  tcp = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  unix = createServer((socket) => socket.end()).listen(join(root, 'socket'));
  udp = createSocket('udp4').bind(0, '127.0.0.1');
  await Promise.all([tcp, unix, udp].map((server) => once(server, 'listening')));
  await chmod(join(root, 'socket'), 0o777);
});
after(async () => {
  tcp.close();
  unix.close();
  udp.close();
  await rm(root, { recursive: true });
});

function start(sandbox: Sandbox | null) {
  return new ForkedProcess<TestMessages>(
    'attacker',
    { results: ['attacked'], check: () => null },
    {
      entry: pathToFileURL(join(root, 'code', 'child.mjs')),
      device: { kind: 'cpu' },
      log,
      sandbox,
      stallMilliseconds: 60_000,
      idleMilliseconds: 60_000,
    },
  );
}

/** Creates a data folder with files of a job and of others, and a settings folder with a secret. */
async function makeTargets(name: string, pids: number[]): Promise<Targets & { data: string }> {
  const data = join(root, name);
  for (const folder of ['files', 'secrets', 'staging/other', 'checkpoints/other'])
    await mkdir(join(data, folder), { recursive: true, mode: 0o711 });
  await mkdir(join(data, 'staging/job/1/token'), { recursive: true, mode: 0o711 });
  const files = ['files/other', 'secrets/pepper', 'staging/other/adapter', 'checkpoints/other/weights'];
  // Readable for every user, so that only the confinement protects them.
  for (const file of files) await writeFile(join(data, file), 'of another team', { mode: 0o644 });
  await writeFile(join(data, 'files/data'), 'a line', { mode: 0o600 });
  return {
    data,
    reads: join(data, 'files/data'),
    writes: join(data, 'staging/job/1/token/adapter'),
    files: [...files.map((file) => join(data, file)), '/etc/hostname', join(repository, 'README.md')],
    folders: ['files', 'staging', 'staging/other', 'slots'].map((folder) => join(data, folder)),
    tcp: (tcp.address() as { port: number }).port,
    udp: udp.address().port,
    unix: join(root, 'socket'),
    pids: [process.pid, process.ppid, ...pids],
  };
}

async function attack(child: ForkedProcess<TestMessages>, targets: Targets, team = 'a') {
  const access = { team, writes: [targets.writes], reads: [targets.reads] };
  const places = await child.slot?.open(access);
  if (!child.slot) await mkdir(targets.writes, { recursive: true });
  const own = { ...targets, reads: places?.get(targets.reads) ?? targets.reads };
  const { signal } = new AbortController();
  const message = { type: 'attack', targets: own } as const;
  const { value } = await child.call({ message, precision: 'fp32', stop: signal }).next();
  if (places) await child.slot!.close(access, places);
  assert.equal(value?.type, 'attacked', JSON.stringify(value));
  return value as TestMessages['result'];
}

async function sandboxIn(data: string, user: ChildUser | null = null): Promise<Sandbox> {
  const confinement = await findConfinement('required', cacheDir);
  return { ...confinement, user, reads: [], cacheDir, folder: join(data, 'slots') };
}

describe('a hostile trainer', { skip: isLinux ? false : 'only Linux confines processes' }, () => {
  it('reaches all of this when it is not confined', async () => {
    const child = start(null);
    const targets = await makeTargets('open', []);
    await mkdir(join(targets.data, 'slots'));
    try {
      const { succeeded, text } = await attack(child, targets);
      assert.equal(text, 'a line');
      const attempts = 7 + targets.files.length + 2 * targets.folders.length + 3 + 6 + targets.pids.length;
      assert.equal(succeeded.length, attempts, succeeded.join('\n'));
    } finally {
      await child.close();
    }
  });

  it('reaches nothing but its own files when it is confined, as this user and as another', async () => {
    for (const user of [null, ...(isRoot ? [{ uid: 61_001, gid: 61_001 }] : [])]) {
      const other = start(await sandboxIn(join(root, 'neighbour'), user && { uid: 61_002, gid: 61_002 }));
      await attack(other, await makeTargets('neighbour', []));
      const targets = await makeTargets(user ? 'user' : 'same', [other.pid!]);
      const child = start(await sandboxIn(targets.data, user));
      try {
        const first = await attack(child, targets);
        assert.deepEqual(first, {
          type: 'attacked',
          uid: user?.uid ?? process.getuid!(),
          text: 'a line',
          succeeded: [],
        });
        const { pid } = child;
        // The worker has made copies. The child is still running and must no longer reach its files.
        await assert.rejects(stat(targets.writes), /ENOENT/);
        const second = { ...targets, writes: join(targets.data, 'staging/job/2/token/adapter') };
        second.folders = [...targets.folders, targets.writes];
        assert.deepEqual((await attack(child, second)).succeeded, []);
        assert.equal(child.pid, pid, 'the next job of the team has the same process');
        const third = { ...second, writes: join(targets.data, 'staging/job/3/token/adapter') };
        assert.deepEqual((await attack(child, third, 'b')).succeeded, []);
        assert.notEqual(child.pid, pid, 'another team has another process');
      } finally {
        await child.close();
        await other.close();
        await rm(join(root, 'neighbour'), { recursive: true });
      }
    }
  });

  it('has nothing followed that it left in its folder', async () => {
    const { data } = await makeTargets('links', []);
    const child = start(await sandboxIn(data));
    const writes = join(data, 'staging/job/1/token/adapter');
    const access = { team: 'a', writes: [writes], reads: [] };
    const places = await child.slot!.open(access);
    // As on a kernel without Landlock.
    await symlink(join(data, 'secrets/pepper'), join(writes, 'adapter_config.json'));
    await child.slot!.close(access, places);
    await assert.rejects(stat(join(writes, 'adapter_config.json')), /ENOENT/);
    assert.equal(await readFile(join(data, 'secrets/pepper'), 'utf8'), 'of another team');
    await child.slot!.remove();
  });

  it('calls none of what opens a way out of the process', { skip: process.arch !== 'x64' }, async () => {
    const calls = {
      socket_unix: [41, 1, 1, 0],
      socket_inet6: [41, 10, 2, 0],
      socket_netlink: [41, 16, 3, 0],
      socket_packet: [41, 17, 3, 0],
      socket_vsock: [41, 40, 1, 0],
      socketpair: [53, 1, 1, 0, 0],
      io_uring_setup: [425, 1, 0],
      ptrace: [101, 16, process.pid, 0, 0],
      process_vm_readv: [310, process.pid],
      kcmp: [312, process.pid, process.pid, 0, 0, 0],
      pidfd_open: [434, process.pid, 0],
      pidfd_getfd: [438, 0, 0, 0],
      keyctl: [250, 0, -3, 0],
      add_key: [248, 0, 0, 0, 0, -3],
      bpf: [321, 0, 0, 0],
      userfaultfd: [323, 0],
      perf_event_open: [298, 0, 0, -1, -1, 0],
      mount: [165, 0, 0, 0, 0, 0],
      unshare: [272, 0x10000000],
      setns: [308, 0, 0],
      fork: [57],
      vfork: [58],
      clone_user: [56, 0x10000011, 0, 0, 0, 0],
      shmget: [29, 0, 4096, 0o1600],
      symlink: [88, 0, 0],
      open_by_handle_at: [304, 0, 0, 0],
      prlimit_of_worker: [302, process.pid, 7, 0, 0],
      kill_of_worker: [62, process.pid, 0],
      tkill: [200, process.pid, 0],
      all: [62, -1, 0],
      x32: [0x40000000 + 39],
      type_into_terminal: [16, 0, 0x5412, 0],
    };
    const program = `
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
refused = []
for name, (call, *given) in json.loads(sys.argv[1]).items():
    ctypes.set_errno(0)
    answer = libc.syscall(call, *given)
    if answer == 0 and name in ('fork', 'vfork', 'clone_user'): os._exit(0)
    if answer == -1 and ctypes.get_errno() == 1: refused.append(name)
clone3 = libc.syscall(435, 0, 0)
print(json.dumps([refused, ctypes.get_errno(), os.getgroups()]))`;
    const { program: confine } = await findConfinement('required', cacheDir);
    const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' });
    const run = ['--run', '/', '--', python.trim(), '-c', program, JSON.stringify(calls)];
    const [refused, errorOfClone3] = JSON.parse(execFileSync(confine!, run, { encoding: 'utf8' }));
    assert.deepEqual(refused, Object.keys(calls));
    assert.equal(errorOfClone3, 38, 'ENOSYS');
  });

  it('is not started without a layer that it is to have', async () => {
    const { program } = await findConfinement('auto', cacheDir);
    const needing = (layer: string) => () =>
      execFileSync(program!, ['--need', layer, '--run', '/', '--', '/bin/true'], { stdio: 'pipe' });
    needing('files,system-calls')();
    assert.throws(needing('user'), /confine: user/);
    await assert.rejects(findConfinement('required', join(root, 'nothing')), /GRAFT_TRAINER_SANDBOX/);
    assert.deepEqual(await findConfinement('off', cacheDir), { program: null, layers: [] });
  });
});
