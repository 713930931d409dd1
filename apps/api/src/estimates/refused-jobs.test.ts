// The estimate that a job shows, and jobs that fail since no live worker has enough memory.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { registerWorker, removeWorker } from '@graft/service/workers';
import type { ApiSettings } from '../settings.ts';
import { jobsPath } from '../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

async function onBench(
  settings: Partial<ApiSettings>,
  body: (bench: ApiBench) => Promise<void>,
  env: Record<string, string> = {},
) {
  const bench = await openApiBench(settings, env);
  try {
    await body(bench);
  } finally {
    await bench.close();
  }
}

async function addWorker({ services }: ApiBench, id: string, memoryBytes?: number): Promise<void> {
  const memory = memoryBytes === undefined ? {} : { memoryBytes };
  const capabilities = { device: 'cpu' as const, threads: 2, precisions: ['fp32'] as ['fp32'], ...memory };
  await registerWorker(services, {
    id,
    address: null,
    hostname: 'test',
    pid: process.pid,
    slots: 1,
    capabilities,
  });
}

/** Creates a job and waits for this state. */
async function jobIn(bench: ApiBench, state: 'queued' | 'failed', training_file: string, more: object = {}) {
  const body = {
    model: 'tiny',
    training_file,
    training: { batch_size: 4, gradient_checkpointing: false },
    seed: 1,
    ...more,
  };
  const created = (await bench.acme.send('POST', jobsPath, body)).json;
  assert.equal(created.estimate, null);
  await bench.untilState(created.id, state);
  return (await bench.acme.send('GET', `${jobsPath}/${created.id}`)).json;
}

test('a job shows its estimate; one that fits no live worker fails, with changes that would help', async () => {
  await onBench({}, async (bench) => {
    // Lines without a common prefix, so that smaller batches need less memory.
    const lines = Array.from({ length: 12 }, (_, i) =>
      chatLine.replace('"a"', `"${`${i}`.repeat(20).slice(0, 20)}"`),
    );
    const file = await bench.acme.upload(lines.join('\n'));
    const job = await jobIn(bench, 'queued', file);
    const { json } = await bench.acme.send('POST', '/v1/fine_tuning/estimates', {
      model: 'tiny',
      training_file: file,
      training: { batch_size: 4, gradient_checkpointing: false },
      seed: 1,
    });
    // The response has warnings about missing options; a job has events for them.
    assert.deepEqual({ ...job.estimate, warnings: [] }, json);
    const need = job.estimate.peak_memory_bytes as number;

    await addWorker(bench, 'small', need - 1);
    const refused = await jobIn(bench, 'failed', file);
    assert.deepEqual([refused.estimate.fits, refused.estimate.memory_bytes], [false, need - 1]);
    const { code, param, fault, message } = refused.error;
    const [change] = refused.estimate.changes;
    assert.deepEqual([code, fault], ['insufficient_memory', 'user']);
    assert.equal(param, `training.${Object.keys(change.training)[0]}`);
    assert.match(
      message,
      /^Training needs .* of memory, the largest worker has .*; it would fit with training\./,
    );
    const taken = await jobIn(bench, 'queued', file, {
      training: { batch_size: 4, gradient_checkpointing: false, ...change.training },
    });
    assert.equal(taken.estimate.fits, true);

    await addWorker(bench, 'silent');
    assert.equal((await jobIn(bench, 'queued', file)).estimate.fits, null);
    await removeWorker(bench.services, 'silent');
    await addWorker(bench, 'large', need);
    assert.equal((await jobIn(bench, 'queued', file)).estimate.fits, true);
  });
});

/** Settings of a bench with a base model of many layers, whose activations take most of the memory. */
async function deepModel(t: TestContext): Promise<{ GRAFT_BASE_MODELS: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-deep-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeTinyModel(join(folder, 'deep'), { max_position_embeddings: 64, num_hidden_layers: 24 });
  const models = join(folder, 'base-models.json');
  await writeFile(models, JSON.stringify({ tiny: { folder: 'deep' } }));
  return { GRAFT_BASE_MODELS: models };
}

test('gradient checkpointing that is left to Graft is turned on where a job fits no live worker without', async (t) => {
  const env = await deepModel(t);
  const body = async (bench: ApiBench) => {
    const long = JSON.stringify({ text: 'abc '.repeat(14) });
    const file = await bench.acme.upload(`${long}\n`.repeat(128));
    const peakWith = async (gradient_checkpointing: boolean | 'auto') => {
      const training = { batch_size: 128, gradient_checkpointing };
      const request = { model: 'tiny', training_file: file, training, seed: 1 };
      const { json } = await bench.acme.send('POST', '/v1/fine_tuning/estimates', request);
      return json.peak_memory_bytes as number;
    };
    const [plain, recomputed] = [await peakWith(false), await peakWith(true)];
    assert.ok(recomputed < plain, `${recomputed}, ${plain}`);
    await addWorker(bench, 'small', recomputed);
    for (const training of [{ batch_size: 128 }, { batch_size: 128, gradient_checkpointing: 'auto' }]) {
      const job = await jobIn(bench, 'queued', file, { training });
      assert.equal(job.training.gradient_checkpointing, true);
      assert.deepEqual([job.estimate.fits, job.estimate.peak_memory_bytes], [true, recomputed]);
      assert.match(job.training_reasons.gradient_checkpointing, /more memory than any worker has/);
    }
    assert.equal(await peakWith('auto'), recomputed);
    await addWorker(bench, 'large', plain);
    const job = await jobIn(bench, 'queued', file, { training: { batch_size: 128 } });
    assert.equal(job.training.gradient_checkpointing, false);
    assert.equal(job.training_reasons.gradient_checkpointing, undefined);
  };
  await onBench({}, body, env);
});

test('a batch of pairs that fits no live worker is embedded in mini-batches, and keeps its size', async (t) => {
  const env = await deepModel(t);
  const body = async (bench: ApiBench) => {
    const lines = Array.from({ length: 64 }, (_, i) =>
      JSON.stringify({ anchor: `${i} abc`.repeat(8), positive: `${i} def`.repeat(8) }),
    );
    const file = await bench.acme.upload(lines.join('\n'));
    const peft = { peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION' };
    const planOf = async (training: object) => {
      const request = { model: 'tiny', training_file: file, peft, training, seed: 1 };
      return (await bench.acme.send('POST', '/v1/fine_tuning/estimates', request)).json;
    };
    const whole = await planOf({});
    const eight = await planOf({ mini_batch_size: 8 });
    assert.ok(eight.peak_memory_bytes < whole.peak_memory_bytes);
    await addWorker(bench, 'small', eight.peak_memory_bytes);
    const job = await jobIn(bench, 'queued', file, { peft, training: {} });
    assert.deepEqual([job.training.batch_size, job.training.gradient_checkpointing], [32, false]);
    const { mini_batch_size: mini } = job.training;
    assert.ok(mini >= 8 && mini < 32, `${mini}`);
    assert.match(job.training_reasons.mini_batch_size, /more memory than any worker has/);
    assert.match(job.training_reasons.batch_size, /31 other pairs/);
    assert.equal(job.estimate.fits, true);
    // With checkpointing it would fit without other changes.
    const training = { mini_batch_size: null, gradient_checkpointing: false };
    const refused = await jobIn(bench, 'failed', file, { peft, training });
    assert.match(refused.error.message, /it would fit with training\.mini_batch_size \d/);
    assert.equal('batch_size' in refused.estimate.changes[0].training, false);
  };
  await onBench({}, body, env);
});

test('the operator lets jobs be queued that fit no live worker', async () => {
  await onBench({ refuseUnfitJobs: false }, async (bench) => {
    await addWorker(bench, 'small', 1);
    const job = await jobIn(bench, 'queued', await bench.acme.upload(`${chatLine}\n`));
    assert.deepEqual([job.estimate.fits, job.error], [false, null]);
  });
});

test('a job whose estimate failed continues without one', async () => {
  await onBench({ estimateTimeoutMs: 1 }, async (bench) => {
    await addWorker(bench, 'small', 1);
    const job = await jobIn(bench, 'queued', await bench.acme.upload(`${chatLine}\n`.repeat(2000)));
    assert.equal(job.estimate, null);
  });
});
