import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TcpProxy } from './tcp-proxy.ts';

/** Echoes each chunk and keeps what it received. */
const got: string[] = [];
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    got.push(chunk.toString('latin1'));
    socket.write(chunk);
  });
});
let proxy: TcpProxy;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.open({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});
after(async () => {
  await proxy.close();
  server.close();
});

async function client(): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

// `once` would throw the connection reset.
const closing = async (socket: Socket) =>
  await new Promise<void>((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', () => resolve());
  });

const answered = async (socket: Socket, text: string) => {
  socket.write(text);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString();
};

test('open, it passes everything; dropped, a connection ends and the next one works', async () => {
  const first = await client();
  assert.equal(await answered(first, 'one'), 'one');
  const closed = closing(first);
  proxy.drop();
  await closed;
  const second = await client();
  assert.equal(await answered(second, 'two'), 'two');
  second.destroy();
});

test('silent, nothing passes and nothing ends; restored, new connections work', async () => {
  const socket = await client();
  assert.equal(await answered(socket, 'before'), 'before');
  proxy.silence();
  let heard = 0;
  socket.on('data', () => {
    heard += 1;
  });
  socket.write('into the void');
  const late = await client();
  await sleep(150);
  assert.equal(heard, 0);
  assert.equal(socket.destroyed || late.destroyed, false, 'neither end is notified');
  assert.ok(!got.includes('into the void'));
  proxy.restore();
  await Promise.all([socket, late].map(closing));
  const fresh = await client();
  assert.equal(await answered(fresh, 'after'), 'after');
  fresh.destroy();
});

test('a cut after a statement resets the client once the server has it; a cut before it keeps it from arriving', async () => {
  const query = (sql: string) => {
    const body = Buffer.from(`${sql}\0`);
    const head = Buffer.from([0x51, 0, 0, 0, body.length + 4]);
    return Buffer.concat([head, body]);
  };
  for (const verdict of ['cut after', 'cut before'] as const) {
    const socket = await client();
    socket.write(Buffer.from([0, 0, 0, 8, 0, 3, 0, 0]));
    await once(socket, 'data');
    proxy.onStatement = (sql) => (sql.startsWith('COMMIT') ? verdict : 'pass');
    const [error] = await Promise.all([once(socket, 'error'), socket.write(query(`COMMIT ${verdict}`))]);
    assert.equal((error[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
    await sleep(100);
    assert.equal(
      got.some((text) => text.includes(`COMMIT ${verdict}`)),
      verdict === 'cut after',
      verdict,
    );
  }
  proxy.restore();
});
