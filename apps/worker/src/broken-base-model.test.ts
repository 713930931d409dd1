// Base models that break after their jobs are queued or before they are asked to generate: the operator's fault, which no retry
// fixes. Real trainer and generator processes.
import assert from 'node:assert/strict';
import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { GenerationRequest } from '@graft/service/channel';
import type { Job } from '@graft/service/jobs';
import { GeneratorProcess } from './generation/generator-process.ts';
import { createInternalServer } from './generation/internal-server.ts';
import { makeApiToken } from './testing/api-token.ts';
import { startJob } from './testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from './testing/worker-bench.ts';
import { TrainerProcess } from './training/trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;
let generator: GeneratorProcess;

before(async () => {
  bench = await openWorkerBench({}, { unseen: {}, seen: {}, shrunk: {}, asked: {}, odd: {}, gone: {} });
  const common = {
    device: { kind: 'cpu' } as const,
    log: bench.services.log,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  };
  trainer = new TrainerProcess({ ...common, entry: new URL('./training/trainer.ts', import.meta.url) });
  generator = new GeneratorProcess({
    ...common,
    entry: new URL('./generation/generator.ts', import.meta.url),
    limits: { rows: 1 },
    queueLimit: 1,
    waitMilliseconds: 30_000,
  });
});
after(async () => {
  await trainer?.close();
  await generator?.close();
  await bench?.close();
});

const cutWeights = (model: string) => truncate(join(bench.modelFolder(model), 'model.safetensors'), 5000);
const lines = Array.from({ length: 8 }, (_, i) => JSON.stringify({ text: `Sentence ${i}.` })).join('\n');

/** Asserts that the job failed at its first attempt, blames no team, exposes no path and left no files. */
async function assertFailed(job: Job, code: string): Promise<string> {
  const { state, attempts, error } = await bench.job(job.id);
  assert.deepEqual([state, attempts], ['failed', 1]);
  assert.deepEqual([error?.code, error?.param, error?.fault], [code, 'model', 'system']);
  const texts = [error!.message, ...(await bench.messages(job.id))].join('\n');
  assert.doesNotMatch(texts, /(^|\s)\/\w/m);
  assert.ok(!texts.includes(bench.services.env.dataDir) && !texts.includes(bench.modelFolder('')), texts);
  assert.equal(await bench.versions(job.id), 0);
  const folders = ['staging', 'checkpoints'].map((kind) => join(bench.services.env.dataDir, kind));
  for (const folder of folders) assert.deepEqual(await readdir(folder).catch(() => []), []);
  return error!.message;
}

describe('a base model that breaks', { timeout: 120_000 }, () => {
  it('before this worker has opened it: the job fails at once', async () => {
    const job = await bench.queueJob(lines, { model: 'unseen' });
    await cutWeights('unseen');
    const { outcome } = await startJob(bench.services, job, trainer, { leaseSeconds: 60 });
    assert.equal(await outcome, 'failed');
    const message = await assertFailed(job, 'invalid_safetensors');
    assert.match(message, /^The base model unseen cannot be used .*: model\.safetensors: .*5000/);
  });

  it('after that, when the trainer opens it: the job fails at once', async () => {
    await bench.services.baseModels.get('seen');
    const job = await bench.queueJob(lines, { model: 'seen' });
    await cutWeights('seen');
    const { outcome } = await startJob(bench.services, job, trainer, { leaseSeconds: 60 });
    assert.equal(await outcome, 'failed');
    const message = await assertFailed(job, 'invalid_safetensors');
    assert.match(message, /^The base model seen cannot be used .*: model\.safetensors: .*5000/);
  });

  it('by a file that is gone: what the trainer finds is no fault of the team', async () => {
    await bench.services.baseModels.get('shrunk');
    const job = await bench.queueJob(lines, { model: 'shrunk' });
    await rm(join(bench.modelFolder('shrunk'), 'tokenizer.json'));
    const { outcome } = await startJob(bench.services, job, trainer, { leaseSeconds: 60 });
    assert.equal(await outcome, 'failed');
    assert.match(await assertFailed(job, 'invalid_model'), /shrunk has no tokenizer\.json/);
  });

  it('is reported to each caller, as an error that is not retried', async () => {
    const http = createInternalServer({ id: 'w1', certificate: null }, bench.services, generator);
    const token = await makeApiToken(bench.services, 'w1');
    const url = `${await http.listen({ host: '127.0.0.1', port: 0 })}/internal/generate`;
    const ask = async (model: string) => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          base_model: model,
          adapter: null,
          prompt: 'Hello',
          max_tokens: 2,
          temperature: 0,
          top_p: 1,
          stop: [],
          seed: null,
        } satisfies GenerationRequest),
      });
      return JSON.parse((await response.text()).trimEnd().split('\n').at(-1)!);
    };
    try {
      // The worker detects the first one, its generator the second.
      await bench.services.baseModels.get('asked');
      await cutWeights('asked');
      await writeFile(join(bench.modelFolder('odd'), 'model.safetensors'), 'no header');
      for (const model of ['asked', 'odd']) {
        const { type, status, code, message, param } = await ask(model);
        assert.deepEqual([type, status, code, param], ['error', 400, 'invalid_safetensors', 'model']);
        assert.match(message, new RegExp(`^The base model ${model} .*: model\\.safetensors: `));
        assert.ok(!message.includes(bench.modelFolder(model)), message);
      }
      // Another worker may have the model.
      await rm(bench.modelFolder('gone'), { recursive: true });
      const { status, code } = await ask('gone');
      assert.deepEqual([status, code], [503, 'base_model_unavailable']);
      assert.equal((await ask('tiny')).type, 'done');
    } finally {
      await http.close();
    }
  });
});
