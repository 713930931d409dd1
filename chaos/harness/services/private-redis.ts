import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../test/service/running-graft.ts';
import { type Spawned, signalProcess, spawnInGroup } from './started.ts';

/** A Redis server for this run without persistence: every kill loses the queue. */
export class PrivateRedis {
  readonly port: number;
  readonly #folder: string;
  #spawned: Spawned | null = null;

  static async start(folder: string): Promise<PrivateRedis> {
    mkdirSync(folder, { recursive: true });
    const redis = new PrivateRedis(folder, await freePort());
    await redis.start();
    return redis;
  }

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async answers(): Promise<boolean> {
    return await this.#do('PING').then(
      () => true,
      () => false,
    );
  }

  async start(): Promise<void> {
    const settings = ['--port', this.port, '--bind', '127.0.0.1', '--save', '', '--dir', this.#folder];
    this.#spawned = spawnInGroup('redis-server', settings.map(String), {
      log: path.join(this.#folder, 'redis.log'),
    });
    for (const end = performance.now() + 30_000; ; await sleep(50)) {
      if (await this.answers()) return;
      if (performance.now() > end) throw new Error('Redis does not answer');
    }
  }

  /** SIGKILL; its data are lost. */
  async kill(): Promise<void> {
    const spawned = this.#spawned;
    if (!spawned) return;
    signalProcess(spawned.pid, 'SIGKILL');
    await spawned.ended;
    this.#spawned = null;
  }

  async flush(): Promise<void> {
    await this.#do('FLUSHALL');
  }

  /** Ends all connections of the services. */
  async dropClients(): Promise<void> {
    await this.#do('CLIENT KILL TYPE normal SKIPME yes');
  }

  /** Stops the process (SIGSTOP) and resumes it. */
  freeze(on: boolean): void {
    if (this.#spawned) signalProcess(this.#spawned.pid, on ? 'SIGSTOP' : 'SIGCONT');
  }

  /** Lets only existing clients of the harness connect and ends all others. The returned function undoes that. */
  async takeAllConnections(): Promise<() => Promise<void>> {
    const own = await this.#connect();
    await ask(own, 'CONFIG SET maxclients 1');
    await ask(own, 'CLIENT KILL TYPE normal SKIPME yes');
    return async () => {
      await ask(own, 'CONFIG SET maxclients 10000');
      own.destroy();
    };
  }

  async close(): Promise<void> {
    await this.kill();
  }

  async #do(command: string): Promise<void> {
    const socket = await this.#connect();
    try {
      await ask(socket, command);
    } finally {
      socket.destroy();
    }
  }

  async #connect(): Promise<Socket> {
    return await new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => resolve(socket));
      socket.once('error', reject);
    });
  }
}

/** Sends one inline command. Throws on an error, or when there is no answer within two seconds. */
async function ask(socket: Socket, command: string): Promise<void> {
  socket.write(`${command}\r\n`);
  const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(2_000) })) as [Buffer];
  if (answer.toString().startsWith('-')) throw new Error(answer.toString().trim());
}
