import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connectThrough } from './connect-through.ts';

export interface CuttableProxy {
  /** The target URL through the proxy. */
  url: string;
  /** Ends all connections and refuses new ones. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Proxies a real server for a test, so that it can become unavailable without stopping for others. */
export async function openCuttableProxy(target: string): Promise<CuttableProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connectThrough(near, new URL(target), sockets);
    near.pipe(far);
    far.pipe(near);
  });
  const listen = async (at: number) =>
    await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  const cut = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await listen(0);
  const own = (server.address() as AddressInfo).port;
  const url = new URL(target);
  url.host = `127.0.0.1:${own}`;
  return {
    url: url.href,
    cut,
    restore: async () => {
      if (!server.listening) await listen(own);
    },
    close: async () => {
      if (server.listening) await cut();
    },
  };
}
