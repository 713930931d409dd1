// The channel between API and worker over TLS: real handshakes. No answer needs the generator's process.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, it } from 'node:test';
import {
  GenerationError,
  type GenerationRequest,
  generate,
  registerWorker,
  type Services,
} from '@graft/service';
import { keepLog, openTestServices } from '@graft/service/testing';
import type { FastifyInstance } from 'fastify';
import { member, stranger } from '../testing/certificates.ts';
import { GeneratorProcess } from './generator-process.ts';
import { createInternalServer } from './internal-server.ts';

let services: Services;
let server: FastifyInstance;
let address: string;

before(async () => {
  services = await openTestServices({ role: 'worker' });
  const generator = new GeneratorProcess({
    entry: new URL('./generator.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: services.log,
    limits: { rows: 1 },
    queueLimit: 1,
    waitMilliseconds: 1000,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
  server = createInternalServer(withTls(member), generator);
  await server.listen({ host: '127.0.0.1', port: 0 });
  address = `https://127.0.0.1:${(server.addresses()[0] as AddressInfo).port}`;
  await registerWorker(services, { id: 'w1', address, hostname: 'here', pid: 1, slots: 0 });
});
after(async () => {
  await server.close();
  await services.close();
});

function withTls(internalTls: Services['secrets']['internalTls'], token?: string): Services {
  const { internalToken } = services.secrets;
  return {
    ...services,
    secrets: { ...services.secrets, internalTls, internalToken: token ?? internalToken },
  };
}

const request: GenerationRequest = {
  base_model: 'nobody',
  adapter: null,
  prompt: 'a',
  max_tokens: 1,
  temperature: 0,
  top_p: 1,
  stop: [],
  seed: null,
};

/** Code and status of what the API gets; the model is unknown, so a worker that answers says that. */
async function ask(api: Services): Promise<[string, number]> {
  try {
    await generate(api, request, { waitMs: 0, signal: AbortSignal.timeout(30_000) });
  } catch (error) {
    assert.ok(error instanceof GenerationError, String(error));
    return [error.code, error.status];
  }
  throw new Error('it answered');
}

async function answerTo(sent: http.ClientRequest): Promise<number | undefined> {
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

it('answers an API that shows a certificate of its authority, and the token', async () => {
  assert.deepEqual(await ask(withTls(member)), ['model_not_found', 404]);
  assert.deepEqual(await ask(withTls(member, 'another-token-of-16')), ['worker_failed', 502]);
});

it('is not asked by an API of another version, and that is in the log of the API', async () => {
  await services.sql.query('UPDATE workers SET protocol = 2');
  const { log, lines } = keepLog();
  assert.deepEqual(await ask({ ...withTls(member), log }), ['worker_version_mismatch', 503]);
  assert.deepEqual([lines[0]!.level, lines[0]!.workerProtocol, lines[0]!.apiProtocol], [50, 2, 1]);
  await services.sql.query('UPDATE workers SET protocol = 1');
  assert.deepEqual(await ask(withTls(member)), ['model_not_found', 404]);
});

it('is not trusted by an API of another authority, nor told the token in the clear', async () => {
  assert.deepEqual(await ask(withTls(stranger)), ['no_worker_available', 503]);
  const seen: string[] = [];
  const plain = http.createServer((incoming, response) => {
    seen.push(String(incoming.headers.authorization));
    response.end();
  });
  await once(plain.listen(0, '127.0.0.1'), 'listening');
  const { port } = plain.address() as { port: number };
  await registerWorker(services, {
    id: 'w1',
    address: `http://127.0.0.1:${port}`,
    hostname: '',
    pid: 1,
    slots: 0,
  });
  assert.deepEqual(await ask(withTls(member)), ['no_worker_available', 503]);
  assert.deepEqual(seen, []);
  plain.close();
  await registerWorker(services, { id: 'w1', address, hostname: 'here', pid: 1, slots: 0 });
});

it('asks who has no certificate, or that of a stranger, for nothing but its health', async () => {
  const headers = { authorization: `Bearer ${services.secrets.internalToken}`, 'content-length': 0 };
  for (const shown of [{}, { cert: stranger.cert, key: stranger.key }]) {
    const options = { ...shown, ca: member.ca, agent: false };
    const post = https.request(`${address}/internal/generate`, { ...options, method: 'POST', headers });
    assert.equal(await answerTo(post), 401);
    assert.equal(await answerTo(https.request(`${address}/healthz`, options)), 200);
  }
});
