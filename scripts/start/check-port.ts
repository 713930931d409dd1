import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';

interface Holder {
  pid: number;
  command: string;
}

/**
 * Throws one line where another program has the port: which one, as far as this user may see it, and what to do. 0 is any free port.
 * @param setting the variable that names the port
 */
export async function checkPort(host: string, port: number, setting: string): Promise<void> {
  if (port === 0) return;
  const code = await listenFault(host, port);
  if (code === null) return;
  const start = `${setting}=${port + 1} npm start`;
  if (code === 'EACCES')
    throw new Error(
      `${setting} is ${port}, which this user may not listen on: choose a port above 1023, such as ${setting}=8000 npm start`,
    );
  if (code !== 'EADDRINUSE') throw new Error(`HOST ${host} cannot be listened on (${code}).`);
  const holder = portHolder(port);
  if (holder === null)
    throw new Error(
      `Port ${port} of ${host} is in use: end the program that has it, or choose another: ${start}`,
    );
  const { pid, command } = holder;
  if (!/\/apps\/(?:api|worker)\/src\/main\.(?:js|ts)/.test(command))
    throw new Error(
      `Port ${port} of ${host} is in use by process ${pid} (${command.slice(0, 120)}): end it, or choose another port: ${start}`,
    );
  throw new Error(
    `Port ${port} of ${host} is in use by a Graft that runs already (process ${pid}): ` +
      `stop it with \`kill ${supervisorOf(pid)}\`, or choose another port and data folder: ${setting}=${port + 1} GRAFT_DATA_DIR=./data-2 npm start`,
  );
}

/** The code of the error of listening there; null: it can be done. */
function listenFault(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'unknown'));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}

/** The process that listens on a TCP port of this machine; null: none, or one of another user. */
export function portHolder(port: number): Holder | null {
  try {
    const pid = process.platform === 'linux' ? listenerOnLinux(port) : listenerByLsof(port);
    return pid === null ? null : { pid, command: commandOf(pid) };
  } catch {
    return null;
  }
}

function listenerOnLinux(port: number): number | null {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
      // Number, local address:port, remote one, state (0A listens), five fields, the socket's inode.
      const fields = line.trim().split(/\s+/);
      if (fields[3] === '0A' && Number.parseInt(fields[1]!.split(':')[1]!, 16) === port)
        inodes.add(fields[9]!);
    }
  }
  for (const entry of readdirSync('/proc')) {
    if (/^\d+$/.test(entry) && socketsOf(entry).some((inode) => inodes.has(inode))) return Number(entry);
  }
  return null;
}

/** Inodes of a process's sockets; none where it has ended or is another user's. */
function socketsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function listenerByLsof(port: number): number | null {
  const found = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'], { encoding: 'utf8' });
  return Number(found.split('\n')[0]) || null;
}

const ps = (column: string, pid: number) =>
  execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).trim();

function commandOf(pid: number): string {
  if (process.platform !== 'linux') return ps('command', pid);
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
}

/** Of Graft's API or worker: the process that starts it again when it dies, where that one lives. */
function supervisorOf(pid: number): number {
  const parent =
    process.platform === 'linux'
      ? Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
      : Number(ps('ppid', pid));
  return parent > 1 && /scripts\/start\/main/.test(commandOf(parent)) ? parent : pid;
}
