/**
 * Tests "Several machines" of docs/deployment.md: API, worker, and the services that both use run on separate machines with the
 * settings of that section. Runs one job and one completion.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftClient } from '@graft/client';
import { createTestDatabase } from '@graft/service/testing';
import { openS3Server } from '../../packages/service/src/storage/testing/s3-server.ts';
import { writeExamples } from '../golden/fixtures/example-data.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { tinyFixture } from '../golden/fixtures/tiny-fixture.ts';
import { freePort, graftEnvironment, newBootstrapKey } from '../service/running-graft.ts';
import { createMachines, type Machine, type Machines, whyNoMachines } from './machines.ts';

const skip = whyNoMachines() ?? false;
const [apiPort, workerPort] = [8000, 8001];

describe('API and worker on separate machines', { skip }, () => {
  let machines: Machines;
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let folder: string;
  let databaseUrl: string;
  let redisUrl: string | undefined;
  let redis: ChildProcess | undefined;

  before(async () => {
    const fixture = await tinyFixture();
    folder = scratchFolder('machines');
    await writeFile(
      join(folder, 'base-models.json'),
      JSON.stringify({ 'tiny-llama': { folder: fixture.modelFolder('tied') } }),
    );
    await writeExamples(join(folder, 'train.jsonl'), 'chat', 16);
    machines = createMachines();
    // Postgres and Redis run on this machine; the two others reach them by its address on the bridge.
    database = await createTestDatabase();
    databaseUrl = await moved(database.url, 5432);
    redisUrl = await ownRedis();
  });
  after(async () => {
    await machines?.close();
    redis?.kill();
    await database?.drop();
  });

  /** Starts a separate Redis, where redis-server is installed; otherwise the queue is in Postgres. */
  async function ownRedis(): Promise<string | undefined> {
    const port = await freePort();
    const args = ['--port', String(port), '--save', '', '--appendonly', 'no', '--bind', '127.0.0.1'];
    redis = spawn('redis-server', args, { stdio: 'ignore' });
    const isThere = await new Promise((resolve) => {
      redis?.once('spawn', () => resolve(true)).once('error', () => resolve(false));
    });
    return isThere ? `redis://${await machines.publish(port)}` : undefined;
  }

  async function moved(address: string, byDefault: number): Promise<string> {
    const url = new URL(address);
    const place = await machines.publish(Number(url.port || byDefault), url.hostname);
    return address.replace(/(@|\/\/)[^/@]+(\/|$)/, `$1${place}$2`);
  }

  test('with a shared folder', async () => {
    const dataDir = join(folder, 'shared');
    // The worker creates its certificate.
    await runThrough({ api: { GRAFT_DATA_DIR: dataDir }, worker: { GRAFT_DATA_DIR: dataDir } });
  });

  test('without one: a bucket, and certificates of an authority', async () => {
    const s3 = await openS3Server();
    try {
      const bucket = {
        ARTIFACTS_URL: `s3://${s3.bucket}/several`,
        GRAFT_S3_ENDPOINT: `http://${await machines.publish(Number(new URL(s3.endpoint).port))}`,
        AWS_REGION: process.env.AWS_REGION!,
        AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID!,
        AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY!,
      };
      const own = (name: string, tls: Record<string, string>) => ({
        ...bucket,
        ...tls,
        GRAFT_DATA_DIR: join(folder, name),
      });
      const certificates = makeCertificates(join(folder, 'tls'));
      await runThrough({
        api: own('of-api', certificates.of('api', '127.0.0.1')),
        worker: (ip) => own('of-worker', certificates.of('worker', ip)),
      });
      // The folder of the machine without the worker contains no team data.
      assert.deepEqual(await filesOf(join(folder, 'of-api', 'artifacts')), []);
    } finally {
      await s3.close();
    }
  });

  /** Starts both with the settings of docs/deployment.md and runs one job and one completion. */
  async function runThrough(own: {
    api: Record<string, string>;
    worker: Record<string, string> | ((ip: string) => Record<string, string>);
  }): Promise<void> {
    const [forApi, forWorker] = [machines.add('a'), machines.add('w')];
    const key = newBootstrapKey();
    const secret = () => randomBytes(24).toString('hex');
    const both = {
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      GRAFT_INTERNAL_TOKEN: secret(),
      GRAFT_BASE_MODELS: join(folder, 'base-models.json'),
    };
    const apiSettings = {
      ...both,
      GRAFT_PEPPER: secret(),
      HOST: '0.0.0.0',
      PORT: String(apiPort),
      GRAFT_BOOTSTRAP_KEY: key,
      ...own.api,
    };
    const workerSettings = {
      ...both,
      GRAFT_WORKER_HOST: '0.0.0.0',
      GRAFT_WORKER_PORT: String(workerPort),
      GRAFT_WORKER_URL: `https://${forWorker.ip}:${workerPort}`,
      ...(typeof own.worker === 'function' ? own.worker(forWorker.ip) : own.worker),
    };
    assertNamed(Object.keys({ ...apiSettings, ...workerSettings }));
    const api = start(forApi, 'api', apiSettings);
    const client = new GraftClient({ baseUrl: `http://${forApi.ip}:${apiPort}/v1`, apiKey: key });
    await answering(`http://${forApi.ip}:${apiPort}/readyz`, api.tail);
    const worker = start(forWorker, 'worker', workerSettings);

    const { id: training_file } = await client.files.upload({ file: join(folder, 'train.jsonl') });
    const { id } = await client.fineTuning.jobs.create({
      model: 'tiny-llama',
      training_file,
      peft: { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'] },
      training: { max_steps: 4, checkpoint_steps: 2, precision: 'fp32' },
    });
    const deadline = performance.now() + 120_000;
    let job = await client.fineTuning.jobs.retrieve(id);
    while (job.status !== 'succeeded') {
      const waits = job.status !== 'failed' && performance.now() < deadline;
      assert.ok(waits, `${JSON.stringify(job)}\n${api.tail()}\n${worker.tail()}`);
      await sleep(200);
      job = await client.fineTuning.jobs.retrieve(id);
    }
    const model = String(job.fine_tuned_model);
    const version = (await client.adapters.retrieveVersionOf(model))!;
    let bytes = 0;
    for await (const chunk of client.adapters.download(version.adapter_id, version.version).bytes())
      bytes += chunk.byteLength;
    assert.ok(bytes > 1000);
    const answer = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: 'Hello' }],
      max_tokens: 4,
    });
    assert.ok(answer.usage.completion_tokens > 0, JSON.stringify(answer));

    for (const child of [worker, api]) {
      child.kill('SIGTERM');
      const code = await new Promise((resolve) => child.once('exit', resolve));
      assert.equal(code, 0, child.tail());
    }
  }

  function start(machine: Machine, program: 'api' | 'worker', settings: Record<string, string | undefined>) {
    const args = ['scripts/compile/run.mjs', 'scripts/start/main.ts', program];
    return machine.start(process.execPath, args, graftEnvironment(settings));
  }
});

/** Creates a test authority and certificates signed by it. */
function makeCertificates(place: string) {
  mkdirSync(place, { recursive: true });
  const at = (name: string) => join(place, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...newKey, '-subj', '/CN=authority', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  return {
    of: (name: string, ip: string) => {
      const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-addext', `subjectAltName=IP:${ip}`];
      const out = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)];
      openssl('req', '-x509', ...newKey, '-subj', `/CN=${name}`, ...signed, ...out);
      return {
        GRAFT_INTERNAL_TLS_CERT: at(`${name}.pem`),
        GRAFT_INTERNAL_TLS_KEY: at(`${name}.key`),
        GRAFT_INTERNAL_TLS_CA: at('ca.pem'),
      };
    },
  };
}

async function filesOf(place: string): Promise<string[]> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** Asserts that the section names each setting that this test uses. */
function assertNamed(names: string[]): void {
  const document = readFileSync(join(import.meta.dirname, '../../docs/deployment.md'), 'utf8');
  const section = document.slice(document.indexOf('## Several machines'), document.indexOf('## As root'));
  for (const name of names) assert.ok(section.includes(`\`${name}\``), name);
}

async function answering(address: string, tail: () => string): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const response = await fetch(address).catch(() => null);
    if (response?.ok) return;
    assert.ok(performance.now() < deadline, tail());
    await sleep(200);
  }
}
