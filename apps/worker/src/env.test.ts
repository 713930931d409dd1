import assert from 'node:assert/strict';
import { it } from 'node:test';
import { loadWorkerEnv } from './env.ts';

it('has defaults for everything', () => {
  assert.deepEqual(loadWorkerEnv({ GRAFT_TENSORFLOW: '' }), {
    workerSlots: undefined,
    tensorflow: undefined,
    stallSeconds: 900,
    idleSeconds: 600,
    drainSeconds: 10,
    exportSlots: 1,
    trainerThreads: undefined,
    trainerMemoryBytes: undefined,
    trainerPrecisions: undefined,
    kernels: 'auto',
    trainerUser: undefined,
    trainerSandbox: 'auto',
    proofSeconds: 60,
    serverQueue: 64,
    serverRows: 16,
    serverBaseDtype: 'auto',
    serverActivationDtype: 'fp32',
    serverCacheBytes: 512e6,
    serverAdaptersBytes: 128e6,
    serverGpuBytes: undefined,
  });
});

it("takes the generator's part of a card in megabytes", () => {
  assert.equal(loadWorkerEnv({ GRAFT_SERVER_GPU_MB: '20000' }).serverGpuBytes, 20e9);
  assert.throws(() => loadWorkerEnv({ GRAFT_SERVER_GPU_MB: '20GB' }), /GRAFT_SERVER_GPU_MB must be/);
});

it('reports every faulty variable together', () => {
  assert.throws(
    () => loadWorkerEnv({ GRAFT_WORKER_SLOTS: 'two', GRAFT_TENSORFLOW: 'tpu', GRAFT_STALL_SECONDS: '0' }),
    /GRAFT_WORKER_SLOTS must[\s\S]*GRAFT_STALL_SECONDS[\s\S]*GRAFT_TENSORFLOW must be cpu or gpu/,
  );
});

it('rounds activations only where products are of integers', () => {
  const int8 = { GRAFT_SERVER_ACTIVATION_DTYPE: 'int8' };
  for (const dtype of ['int8', 'nf4'])
    assert.equal(loadWorkerEnv({ ...int8, GRAFT_SERVER_BASE_DTYPE: dtype }).serverActivationDtype, 'int8');
  for (const dtype of ['', 'auto', 'fp32', 'bf16'])
    assert.throws(
      () => loadWorkerEnv({ ...int8, GRAFT_SERVER_BASE_DTYPE: dtype }),
      /GRAFT_SERVER_BASE_DTYPE must be int8 or nf4 if GRAFT_SERVER_ACTIVATION_DTYPE is int8/,
    );
  assert.throws(
    () => loadWorkerEnv({ ...int8, GRAFT_SERVER_BASE_DTYPE: 'nf4', GRAFT_KERNELS: 'stock' }),
    /GRAFT_KERNELS must not be stock if/,
  );
});

it("takes a trainer's memory in megabytes", () => {
  assert.equal(loadWorkerEnv({ GRAFT_TRAINER_MEMORY_MB: '12000' }).trainerMemoryBytes, 12e9);
  assert.throws(() => loadWorkerEnv({ GRAFT_TRAINER_MEMORY_MB: '8GB' }), /GRAFT_TRAINER_MEMORY_MB must be/);
});

it('takes kernels by the name of their set', () => {
  assert.equal(loadWorkerEnv({ GRAFT_KERNELS: 'avx512bf16' }).kernels, 'avx512bf16');
  assert.throws(
    () => loadWorkerEnv({ GRAFT_KERNELS: 'AVX 2' }),
    /GRAFT_KERNELS must be auto, stock, or a set/,
  );
});

it('takes zero slots for a worker that only serves', () => {
  assert.equal(loadWorkerEnv({ GRAFT_WORKER_SLOTS: '0' }).workerSlots, 0);
});
