import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connectThrough } from '../../testing/connect-through.ts';

/** A proxy with which a test can cut or stall connections to a server. */
export interface HaltingProxy {
  endpoint: string;
  /** After `afterBytes` more bytes in either direction, `cut` resets and refuses connections, and `silent` forwards nothing. */
  behave(how: 'well' | 'cut' | 'silent', afterBytes?: number): void;
  close(): Promise<void>;
}

/** Opens a proxy in front of the HTTP server at `target`. */
export async function openHaltingProxy(target: string): Promise<HaltingProxy> {
  const sockets = new Set<Socket>();
  let how = 'well';
  let allowance = 0;
  const server = createServer((near) => {
    if (how === 'cut' && allowance <= 0) return void near.resetAndDestroy();
    const far = connectThrough(near, new URL(target), sockets);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        if (how !== 'well') allowance -= chunk.length;
        if (how === 'well' || allowance > 0) to.write(chunk);
        else if (how === 'cut') near.resetAndDestroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    behave: (next, afterBytes = 0) => {
      how = next;
      allowance = afterBytes;
      if (how === 'cut' && afterBytes === 0) for (const socket of sockets) socket.resetAndDestroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
