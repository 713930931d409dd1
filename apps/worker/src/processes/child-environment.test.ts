import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { environmentFor } from '@graft/peft-core/precision';
import { childEnvironment } from './child-environment.ts';
import { kernelCacheFolder, trimKernelCaches } from './kernel-cache.ts';

const secrets = {
  DATABASE_URL: 'postgresql://u:p@h/d',
  REDIS_URL: 'redis://:p@h',
  GRAFT_PEPPER: 's',
  GRAFT_INTERNAL_TOKEN: 's',
  GRAFT_BOOTSTRAP_KEY: 's',
  GRAFT_API_KEY: 's',
  HF_TOKEN: 's',
  PGPASSWORD: 's',
  AWS_SECRET_ACCESS_KEY: 's',
  NODE_OPTIONS: '--inspect',
};

it('keeps secrets from a child and passes what computing needs', () => {
  const environment = childEnvironment({ kind: 'cpu' }, 'fp32', undefined, {
    ...secrets,
    PATH: '/bin',
    GRAFT_CACHE_DIR: '/cache',
    OMP_NUM_THREADS: '2',
    TF_SET_ONEDNN_FPMATH_MODE: 'BF16',
  });
  assert.deepEqual(environment, {
    PATH: '/bin',
    GRAFT_CACHE_DIR: '/cache',
    OMP_NUM_THREADS: '2',
    TF_CPP_MIN_LOG_LEVEL: '2',
    CUDA_VISIBLE_DEVICES: '',
    GRAFT_PARENT_PID: String(process.pid),
    // Includes NODE_OPTIONS, in place of the parent's.
    ...environmentFor('fp32'),
  });
});

it('leaves the allocator as the operator has it', () => {
  const arenas = (env: NodeJS.ProcessEnv) =>
    childEnvironment({ kind: 'cpu' }, 'fp32', 1, env).MALLOC_ARENA_MAX;
  assert.deepEqual([arenas({}), arenas({ MALLOC_ARENA_MAX: '8' })], ['2', '8']);
});

it('sets precision, threads and card', () => {
  const gpu = { kind: 'gpu', uuid: 'GPU-1b', index: 1, name: 'any', memoryMib: 1 } as const;
  const environment = childEnvironment(gpu, 'bf16', 3, {});
  assert.equal(environment.TF_SET_ONEDNN_FPMATH_MODE, 'BF16');
  assert.equal(environment.TF_NUM_INTRAOP_THREADS, '3');
  assert.equal(environment.CUDA_VISIBLE_DEVICES, 'GPU-1b');
  assert.equal(environment.TF_DETERMINISTIC_OPS, '1');
  assert.equal(environment.TF_DISABLE_SCATTER_OP_DETERMINISM, '1');
  assert.equal(childEnvironment(gpu, 'bf16', 3, { TF_DETERMINISTIC_OPS: '0' }).TF_DETERMINISTIC_OPS, '0');
  // float32 computations use full float32 (no TF32) in both precisions.
  for (const precision of ['bf16', 'fp32'] as const)
    assert.equal(childEnvironment(gpu, precision, 3, {}).NVIDIA_TF32_OVERRIDE, '0');
});

it('limits what a child may hold of its card, and keeps what CUDA compiles', () => {
  const gpu = { kind: 'gpu', uuid: 'MIG-1b', index: 1, name: 'any', memoryMib: 4864 } as const;
  const on = { bytes: 4 * 2 ** 30, kernelCache: '/cache/cuda/1' };
  const environment = childEnvironment(gpu, 'bf16', 3, {}, on);
  assert.equal(environment.CUDA_VISIBLE_DEVICES, 'MIG-1b');
  assert.equal(environment.GRAFT_GPU_MEMORY_BYTES, String(4 * 2 ** 30));
  assert.equal(environment.GRAFT_GPU_TOTAL_BYTES, String(4864 * 2 ** 20));
  assert.deepEqual(
    [environment.CUDA_CACHE_PATH, environment.CUDA_CACHE_MAXSIZE],
    ['/cache/cuda/1', '1073741824'],
  );
  const operators = childEnvironment(gpu, 'bf16', 3, { CUDA_CACHE_PATH: '/fast' }, on);
  assert.equal(operators.CUDA_CACHE_PATH, '/fast');
  // A card that does not report its memory, and a CPU.
  const silent = childEnvironment({ ...gpu, memoryMib: 0 }, 'bf16', 3, {}, on);
  const cpu = childEnvironment({ kind: 'cpu' }, 'bf16', 3, {}, on);
  for (const { GRAFT_GPU_MEMORY_BYTES: bytes } of [silent, cpu]) assert.equal(bytes, undefined);
  assert.equal(cpu.CUDA_CACHE_PATH, undefined);
});

it('logs what TensorFlow warns of on a card alone', () => {
  const gpu = { kind: 'gpu', uuid: 'GPU-1b', index: 1, name: 'any', memoryMib: 1 } as const;
  assert.equal(childEnvironment(gpu, 'bf16', 3, {}).TF_CPP_MIN_LOG_LEVEL, '1');
  assert.equal(childEnvironment({ kind: 'cpu' }, 'bf16', 3, {}).TF_CPP_MIN_LOG_LEVEL, '2');
});

it('keeps compiled code of each team and user apart, where nobody else gets to', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-kernels-'));
  try {
    const places = [null, 'team-a', 'team-b'].map((team) => kernelCacheFolder(folder, null, team));
    assert.equal(new Set(places).size, 3);
    assert.equal(kernelCacheFolder(folder, null, 'team-a'), places[1]);
    for (const place of places) assert.equal((await stat(place)).mode & 0o777, 0o700);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('removes compiled code that is too much: of a team that has too much, and what was used least recently', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-kernels-'));
  try {
    await trimKernelCaches(folder); // the folder does not exist yet
    const kept = async (team: string, bytes: number, secondsAgo: number) => {
      const place = kernelCacheFolder(folder, null, team);
      await mkdir(join(place, 'xla'));
      await writeFile(join(place, 'xla', 'one'), new Uint8Array(bytes));
      const used = Date.now() / 1000 - secondsAgo;
      await utimes(place, used, used);
      return place;
    };
    const old = await kept('old', 400, 30);
    const large = await kept('large', 900, 1);
    const recent = await kept('recent', 500, 2);
    const older = await kept('older', 300, 20);
    await trimKernelCaches(folder, { all: 1000, one: 800 });
    assert.deepEqual([old, large, recent, older].map(existsSync), [false, false, true, true]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('keeps what XLA compiles beside what CUDA does, and leaves the operator the last word', () => {
  const gpu = { kind: 'gpu', uuid: 'GPU-1b', index: 1, name: 'any', memoryMib: 1 } as const;
  const from = { XLA_FLAGS: '--xla_gpu_autotune_level=0' };
  const environment = childEnvironment(gpu, 'bf16', 3, from, { kernelCache: '/compiled/1' });
  assert.match(environment.TF_XLA_FLAGS!, /persistent_cache_directory=\/compiled\/1\/xla/);
  assert.equal(environment.XLA_FLAGS, '--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0');
  assert.equal(childEnvironment({ kind: 'cpu' }, 'bf16', 3, {}).TF_XLA_FLAGS, undefined);
});
