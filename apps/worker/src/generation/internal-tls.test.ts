// The channel between API and worker over TLS, with real handshakes. No request reaches the generator process.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, it } from 'node:test';
import {
  type GenerationRequest,
  makeCertificate,
  type OwnCertificate,
  signRequest,
} from '@graft/service/channel';
import { GenerationError, generate } from '@graft/service/generation';
import type { Services } from '@graft/service/services';
import { keepLog, openTestServices } from '@graft/service/testing';
import { registerWorker } from '@graft/service/workers';
import type { FastifyInstance } from 'fastify';
import { member, stranger } from '../testing/certificates.ts';
import { GeneratorProcess } from './generator-process.ts';
import { createInternalServer } from './internal-server.ts';

let services: Services;
let server: FastifyInstance;
let address: string;
/** A worker with a self-made certificate. */
let second: FastifyInstance;
let own: OwnCertificate;

before(async () => {
  services = await openTestServices();
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
  server = createInternalServer({ id: 'w1', certificate: null }, withTls(member), generator);
  own = makeCertificate('w2');
  second = createInternalServer({ id: 'w2', certificate: own }, services, generator);
  await second.listen({ host: '127.0.0.1', port: 0 });
  await server.listen({ host: '127.0.0.1', port: 0 });
  address = `https://127.0.0.1:${(server.addresses()[0] as AddressInfo).port}`;
  await registerWorker(services, { id: 'w1', address, hostname: 'here', pid: 1, slots: 0 });
});
after(async () => {
  await server.close();
  await second.close();
  await services.close();
});

function withTls(internalTls: Services['secrets']['internalTls'], changed: object = {}): Services {
  return { ...services, secrets: { ...services.secrets, internalTls, ...changed } };
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

/** Code and status that the API receives. The model is unknown, so a worker that the API trusts answers `model_not_found`. */
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
  const pepper = { versions: [{ version: 1, secret: 'another pepper' }] };
  assert.deepEqual(await ask(withTls(member, { pepper })), ['worker_failed', 502]);
});

it('is not asked by an API of another version, and that is in the log of the API', async () => {
  await services.sql.query('UPDATE workers SET protocol = 2');
  const { log, lines } = keepLog();
  assert.deepEqual(await ask({ ...withTls(member), log }), ['worker_version_mismatch', 503]);
  assert.deepEqual([lines[0]!.level, lines[0]!.workerProtocol, lines[0]!.apiProtocol], [50, 2, 1]);
  await services.sql.query('UPDATE workers SET protocol = 1');
  assert.deepEqual(await ask(withTls(member)), ['model_not_found', 404]);
});

it('is not trusted by an API of another authority, and gets no token in plain text', async () => {
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

it('a worker without certificates of an authority shows its own, by which the API knows it', async () => {
  await services.sql.query('DELETE FROM workers');
  const { port } = second.server.address() as AddressInfo;
  const row = { id: 'w2', address: `https://127.0.0.1:${port}`, hostname: '', pid: 1, slots: 0 };
  await registerWorker(services, { ...row, certificate: own.cert });
  assert.deepEqual(await ask(services), ['model_not_found', 404]);
});

it('a row that no worker wrote gets no prompt and no token, whatever its address', async (t) => {
  const seen: string[] = [];
  const record = (incoming: IncomingMessage, response: http.ServerResponse) => {
    seen.push(`${incoming.method} ${incoming.headers.authorization}`);
    response.end();
  };
  // An attacker who can write worker rows but holds at most another worker's key.
  const thief = makeCertificate('w2');
  const plain = http.createServer(record);
  const secure = https.createServer({ ...thief }, record);
  t.after(() => [plain, secure].map((each) => each.close()));
  for (const each of [plain, secure]) await once(each.listen(0, '127.0.0.1'), 'listening');
  const portOf = (each: http.Server | https.Server) => (each.address() as AddressInfo).port;
  const forge = async (columns: string, values: unknown[]) => {
    await services.sql.query(`UPDATE workers SET ${columns}`, values);
    assert.deepEqual(await ask(services), ['no_worker_available', 503], columns);
  };
  await forge('address = $1', [`http://127.0.0.1:${portOf(plain)}`]);
  await forge('address = $1, certificate = NULL', [`http://127.0.0.1:${portOf(plain)}`]);
  await forge('address = $1, certificate = $2', [`https://127.0.0.1:${portOf(secure)}`, thief.cert]);
  await forge("address = $1, proof = '\\x00'", [`https://127.0.0.1:${portOf(secure)}`]);
  // A worker that registers another worker's address, with its own proof and the other's certificate.
  const row = { id: 'w2', hostname: '', pid: 1, slots: 0, certificate: own.cert };
  await registerWorker(services, { ...row, address: `https://127.0.0.1:${portOf(secure)}` });
  assert.deepEqual(await ask(services), ['no_worker_available', 503]);
  // A worker of the previous version has no proof in its row.
  await services.sql.query('UPDATE workers SET proof = NULL');
  assert.deepEqual(await ask(services), ['worker_version_mismatch', 503]);
  assert.deepEqual(seen, []);
  await services.sql.query('DELETE FROM workers');
});

it('a plain address that is not of this machine is not asked', async () => {
  const row = { id: 'w3', hostname: '', pid: 1, slots: 0 };
  await registerWorker(services, { ...row, address: 'http://192.0.2.1:8001' });
  const { log, lines } = keepLog();
  assert.deepEqual(await ask({ ...services, log }), ['no_worker_available', 503]);
  assert.match(JSON.stringify(lines), /offers no TLS: only a worker on the API's own machine may go without/);
  await services.sql.query('DELETE FROM workers');
});

it('asks who has no certificate, or that of a stranger, for nothing but its health', async () => {
  const token = signRequest(services.secrets.pepper, 'w1');
  const headers = { authorization: `Bearer ${token}`, 'content-length': 0 };
  for (const shown of [{}, { cert: stranger.cert, key: stranger.key }]) {
    const options = { ...shown, ca: member.ca, agent: false };
    const post = https.request(`${address}/internal/generate`, { ...options, method: 'POST', headers });
    assert.equal(await answerTo(post), 401);
    assert.equal(await answerTo(https.request(`${address}/healthz`, options)), 200);
  }
});
