import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { errors } from '../errors.ts';
import { heldBytes } from './held-bytes.ts';

const mebibyte = 2 ** 20;
/** More than the buffers of a connection hold. */
const bytes = 16 * mebibyte;

let app: FastifyInstance;
let port: number;
before(async () => {
  app = Fastify();
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    request.caller = { teamId: String(request.headers.team) } as FastifyRequest['caller'];
  });
  await app.register(errors);
  await app.register(heldBytes, { limits: { perTeam: 3.5 * bytes, all: 4 * bytes, always: 1.5 * bytes } });
  app.get('/large', async () => 'x'.repeat(bytes));
  app.get('/small', async () => 'x');
  app.get('/counted', async (_request, reply) => {
    reply.holdBytes(bytes);
    reply.holdBytes(bytes);
    return 'x';
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  port = (app.server.address() as { port: number }).port;
});
after(async () => await app.close());

/** Asks on a connection that reads only the first bytes of the response; resolves to its status. */
async function askWithoutReading(team: string): Promise<{ status: number; socket: Socket }> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  socket.write(`GET /large HTTP/1.1\r\nhost: x\r\nteam: ${team}\r\n\r\n`);
  const first = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.pause();
  return { status: Number(first.toString('latin1').split(' ')[1]), socket };
}

async function ask(team: string, path: string) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { team } });
  const text = await response.text();
  const code = response.status === 200 ? null : JSON.parse(text).error.code;
  return { status: response.status, code, retryAfter: response.headers.get('retry-after') };
}

test('clients that do not read fill the memory of their team, and never that of another', async () => {
  const open: Socket[] = [];
  for (const team of ['a', 'a', 'a', 'b']) {
    const { status, socket } = await askWithoutReading(team);
    open.push(socket);
    assert.equal(status, 200);
  }
  assert.deepEqual(await ask('a', '/large'), { status: 429, code: 'too_many_requests', retryAfter: '5' });
  assert.equal((await ask('a', '/small')).status, 200);
  assert.deepEqual(await ask('b', '/large'), { status: 503, code: 'service_unavailable', retryAfter: '5' });
  assert.equal((await ask('c', '/large')).status, 200, 'what a team may always have');
  assert.deepEqual(await ask('c', '/counted'), { status: 503, code: 'service_unavailable', retryAfter: '5' });

  for (const socket of open) socket.destroy();
  for (let i = 0; (await ask('a', '/counted')).status !== 200; i++) {
    assert.ok(i < 400, 'the memory is free again');
    await sleep(25);
  }
  for (let i = 0; i < 10; i++)
    assert.equal((await ask('a', '/counted')).status, 200, 'and after each response');
});
