/**
 * Restores a backup of a running Graft into a new database and a new folder: finished adapters can be downloaded with the right digests,
 * and the job that was running resumes and gives bit-identical results to the original.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FineTuningJob, GraftClient } from '@graft/client';
import { openTestServices } from '@graft/service/testing';
import { backUp } from '../../scripts/backup/back-up.ts';
import { restore } from '../../scripts/backup/restore.ts';
import { writeExamples } from '../golden/fixtures/example-data.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { tinyFixture } from '../golden/fixtures/tiny-fixture.ts';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from '../service/running-graft.ts';

const steps = 1500;
const fixture = await tinyFixture();
const folder = scratchFolder('backup');
const services = await openTestServices({ role: 'admin' });
const key = newBootstrapKey();
const baseModels = join(folder, 'base-models.json');
const restored = { name: `graft_restored_${randomBytes(4).toString('hex')}`, url: '' };

interface Graft {
  client: GraftClient;
  dataDir: string;
  stop(): Promise<void>;
}

const running = new Set<Graft>();

async function startGraft(databaseUrl: string, dataDir: string): Promise<Graft> {
  const port = await freePort();
  const env = graftEnvironment({
    PORT: String(port),
    GRAFT_DATA_DIR: dataDir,
    GRAFT_BASE_MODELS: baseModels,
    GRAFT_BOOTSTRAP_KEY: key,
    DATABASE_URL: databaseUrl,
  });
  const processes: RunningProcess[] = [startProcess('scripts/start/main.ts', [], env)];
  await whenReady(processes[0]!, `http://127.0.0.1:${port}/readyz`);
  const graft: Graft = {
    client: new GraftClient({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: key }),
    dataDir,
    stop: async () => {
      running.delete(graft);
      const codes = await Promise.all(processes.map((process) => process.end('SIGTERM')));
      assert.deepEqual(codes, [0], processes[0]!.tail());
    },
  };
  running.add(graft);
  return graft;
}

before(async () => {
  await writeFile(baseModels, JSON.stringify({ 'tiny-llama': { folder: fixture.modelFolder('tied') } }));
  await writeExamples(join(folder, 'train.jsonl'), 'chat', 120);
  const { rows } = await services.sql.query('SELECT current_database() AS name');
  restored.url = services.databaseUrl.replace(`/${rows[0].name}`, `/${restored.name}`);
  assert.notEqual(restored.url, services.databaseUrl);
  await services.sql.query(`CREATE DATABASE ${restored.name}`);
});

after(async () => {
  for (const graft of running) await graft.stop();
  await services.sql.query(`DROP DATABASE IF EXISTS ${restored.name} WITH (FORCE)`);
  await services.close();
});

function createJob({ client }: Graft, training_file: string, max_steps: number): Promise<FineTuningJob> {
  return client.fineTuning.jobs.create({
    model: 'tiny-llama',
    training_file,
    seed: 5,
    hyperparameters: { batch_size: 4, n_epochs: 50 },
    peft: { peft_type: 'LORA', r: 4, lora_dropout: 0.1, target_modules: ['q_proj', 'v_proj'] },
    training: { max_steps, checkpoint_steps: 20, precision: 'fp32' },
  });
}

async function until({ client }: Graft, id: string, done: (job: FineTuningJob) => boolean) {
  const deadline = performance.now() + 240_000;
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (done(job)) return job;
    assert.ok(job.status !== 'failed' && performance.now() < deadline, JSON.stringify(job));
    await sleep(50);
  }
}
const succeeded = ({ status }: FineTuningJob) => status === 'succeeded';

/** Downloads an adapter (the client checks every digest) and returns the digest of its weights. */
async function weightsOf({ client }: Graft, model: string | null): Promise<string> {
  const version = await client.adapters.retrieveVersionOf(String(model));
  assert.ok(version);
  const download = client.adapters.download(version.adapter_id, version.version);
  let bytes = 0;
  for await (const chunk of download.bytes()) bytes += chunk.byteLength;
  assert.ok(bytes > 0);
  return version.files.find(({ path }) => path === 'adapter_model.safetensors')!.sha256;
}

test('a running Graft is backed up and continues in another place', async () => {
  const original = await startGraft(services.databaseUrl, join(folder, 'data'));
  const { id: trainingFile } = await original.client.files.upload({ file: join(folder, 'train.jsonl') });
  const finished = await until(original, (await createJob(original, trainingFile, 30)).id, succeeded);
  const { id } = await createJob(original, trainingFile, steps);
  await until(original, id, (job) => (job.progress?.step ?? 0) >= 60);

  const backup = join(folder, 'backup');
  const source = {
    databaseUrl: services.databaseUrl,
    dataDir: original.dataDir,
    artifactsUrl: null,
    passphrase: 'of the test',
  };
  const manifest = await backUp(source, backup);
  assert.ok(manifest.files >= 8 && manifest.bytes > 10_000, JSON.stringify(manifest));
  assert.equal(
    (await original.client.fineTuning.jobs.retrieve(id)).status,
    'running',
    'the job was over too soon',
  );
  await assert.rejects(backUp(source, backup), /is not empty/);

  // The result of the undisturbed job in the original.
  const control = await until(original, id, succeeded);
  const expected = [
    await weightsOf(original, finished.fine_tuned_model),
    await weightsOf(original, control.fine_tuned_model),
  ];
  await original.stop();

  const dataDir = join(folder, 'restored');
  await restore(backup, { databaseUrl: restored.url, dataDir, passphrase: 'of the test' });
  const second = await startGraft(restored.url, dataDir);
  const resumed = await until(second, id, succeeded);
  assert.deepEqual(
    [await weightsOf(second, finished.fine_tuned_model), await weightsOf(second, resumed.fine_tuned_model)],
    expected,
  );
  const { data: attempts } = await second.client.fineTuning.jobs.attempts(id);
  assert.deepEqual(
    attempts.filter(({ kind }) => kind === 'training').map(({ outcome }) => outcome),
    ['lost', 'succeeded'],
  );
  assert.ok(attempts.at(-1)!.from_step! >= 20, JSON.stringify(attempts));
  const content = await (await second.client.files.content(trainingFile)).text();
  assert.equal(content.trimEnd().split('\n').length, 120);
});

test('a backup that is not whole, and a place that is not empty, are refused', async () => {
  const half = join(folder, 'half');
  await mkdir(half, { recursive: true });
  const target = { databaseUrl: restored.url, dataDir: join(folder, 'nowhere'), passphrase: 'of the test' };
  await assert.rejects(restore(half, target), /holds no whole backup/);
  await assert.rejects(restore(join(folder, 'backup'), target), /database is not empty/);
  assert.deepEqual(await readdir(target.dataDir).catch(() => []), []);
  await rm(half, { recursive: true });
});
