/** Simulated machines for a test: Linux network namespaces on a bridge. None can reach another's loopback interface. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** The reason why namespaces cannot be created here; null where they can. */
export function whyNoMachines(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'network namespaces need root on Linux';
  const ran = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  if (ran.error) return 'network namespaces need iproute2: apt-get install iproute2';
  return ran.status === 0 ? null : `no network namespaces: ${ran.stderr.trim()}`;
}

export interface Machine {
  name: string;
  /** Its IP address on the bridge. */
  ip: string;
  /** Starts a program on the machine, in the repository's root. */
  start(command: string, args: string[], env: NodeJS.ProcessEnv): ChildProcess & { tail(): string };
}

export interface Machines {
  /** IP address on the bridge of the machine that runs the test. */
  hostIp: string;
  add(name: string): Machine;
  /** Makes a local server reachable for the other machines. Resolves to `host:port`. */
  publish(port: number, host?: string): Promise<string>;
  close(): Promise<void>;
}

export function createMachines(): Machines {
  const id = randomBytes(2).toString('hex');
  const bridge = `graft-${id}`;
  const network = `10.${randomInt(200, 255)}.${randomInt(0, 256)}`;
  const names: string[] = [];
  const children: ChildProcess[] = [];
  const servers: Server[] = [];
  ip('link', 'add', bridge, 'type', 'bridge');
  ip('addr', 'add', `${network}.254/24`, 'dev', bridge);
  ip('link', 'set', bridge, 'up');

  return {
    hostIp: `${network}.254`,
    add: (short) => {
      const name = `g${id}${short}${names.length}`;
      const address = `${network}.${names.length + 1}`;
      ip('netns', 'add', name);
      names.push(name);
      ip('link', 'add', `${name}-o`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      ip('link', 'set', `${name}-o`, 'master', bridge, 'up');
      ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      ip('-n', name, 'link', 'set', 'eth0', 'up');
      ip('-n', name, 'link', 'set', 'lo', 'up');
      return {
        name,
        ip: address,
        start: (command, args, env) => {
          // Not `ip netns exec`, which mounts /sys: some containers do not allow that.
          const child = spawn('nsenter', [`--net=/var/run/netns/${name}`, command, ...args], {
            cwd: root,
            env,
            stdio: ['ignore', 'pipe', 'pipe'],
          });
          children.push(child);
          let tail = '';
          for (const stream of [child.stdout, child.stderr])
            stream.setEncoding('utf8').on('data', (text: string) => {
              tail = (tail + text).slice(-6000);
            });
          return Object.assign(child, { tail: () => tail });
        },
      };
    },
    publish: async (port, host = '127.0.0.1') => {
      const server = createServer((from) => {
        const to = connect(port, host);
        from.pipe(to).pipe(from);
        for (const socket of [from, to]) {
          socket.on('error', () => {
            from.destroy();
            to.destroy();
          });
        }
      });
      servers.push(server);
      server.listen(0, `${network}.254`);
      await once(server, 'listening');
      return `${network}.254:${(server.address() as { port: number }).port}`;
    },
    close: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      for (const server of servers) server.close();
      for (const name of names) spawnSync('ip', ['netns', 'del', name]);
      spawnSync('ip', ['link', 'del', bridge]);
    },
  };
}

function ip(...args: string[]): void {
  const ran = spawnSync('ip', args, { encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`ip ${args.join(' ')}: ${ran.stderr.trim()}`);
}
