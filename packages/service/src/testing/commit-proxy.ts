import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connectThrough } from './connect-through.ts';

export interface CommitProxy {
  /** The target URL through the proxy. */
  url: string;
  /**
   * Breaks the connection at the next COMMIT: with `answer` after Postgres has committed and before the client receives the response, with
   * `request` before Postgres receives it. `then: 'away'` refuses all connections from then on.
   */
  cutNextCommit(what: 'answer' | 'request', then?: 'away'): void;
  /** Number of COMMITs cut so far. */
  readonly cuts: number;
  /** While true, all connections are refused. */
  away: boolean;
  close(): Promise<void>;
}

/** Proxies Postgres for a test, and can lose a COMMIT or its response, so that the client does not know the outcome. */
export async function openCommitProxy(target: string): Promise<CommitProxy> {
  const sockets = new Set<Socket>();
  let next: 'answer' | 'request' | null = null;
  let goesAway = false;
  const proxy = { cuts: 0, away: false };
  const server = createServer((near) => {
    if (proxy.away) return void near.destroy();
    const far = connectThrough(near, new URL(target), sockets);
    let loses = false;
    const cut = () => {
      proxy.cuts += 1;
      if (goesAway) proxy.away = true;
      for (const socket of goesAway ? sockets : [near]) socket.destroy();
    };
    near.on('data', (bytes) => {
      const isCommit = bytes.includes('COMMIT\0');
      const what = isCommit ? next : null;
      if (isCommit) next = null;
      if (what === 'request') return cut();
      loses ||= what === 'answer';
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (loses) cut();
      else near.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(proxy, {
    url: url.href,
    cutNextCommit: (what: 'answer' | 'request', then?: 'away') => {
      next = what;
      goesAway = then === 'away';
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  });
}
