import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findDevices, parseGpus, planSlots, resolvePrecision } from './devices.ts';

// In the form nvidia-smi prints; written by hand after its manual, as this project's own machines have no GPU.
const twoCards = `0, GPU-8f3ac5b0-91d5-1c6e-a1f0-0d3b6a1f2c11, NVIDIA H100 80GB HBM3, 81559
1, GPU-1b7de7c4-2f0a-4a8e-9a55-5c1de0a0b7fe, NVIDIA H100 80GB HBM3, 81559
`;
const sharedMemory = '0, GPU-4c9d0a12-0000-4000-8000-3f2e1d0c9b8a, NVIDIA GB10, [N/A]\n';
const none = 'No devices were found\n';

describe('parseGpus', () => {
  it('reads every card', () => {
    assert.deepEqual(
      parseGpus(twoCards).map(({ index, uuid, name, memoryMib }) => [
        index,
        uuid.slice(0, 8),
        name,
        memoryMib,
      ]),
      [
        [0, 'GPU-8f3a', 'NVIDIA H100 80GB HBM3', 81559],
        [1, 'GPU-1b7d', 'NVIDIA H100 80GB HBM3', 81559],
      ],
    );
  });

  it('takes a card whose memory is not told', () => {
    assert.equal(parseGpus(sharedMemory)[0]?.memoryMib, 0);
  });

  it('sees no card in messages and nothing in nothing', () => {
    assert.deepEqual(parseGpus(none), []);
    assert.deepEqual(parseGpus(''), []);
    assert.deepEqual(parseGpus(twoCards.replaceAll('\n', '\r\n')).length, 2);
  });
});

describe('findDevices', () => {
  it('asks the nvidia-smi on the PATH', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'graft-devices-'));
    const before = process.env.PATH;
    try {
      await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\ncat <<'END'\n${twoCards}END\n`);
      await chmod(join(folder, 'nvidia-smi'), 0o755);
      process.env.PATH = `${folder}:${before}`;
      assert.equal((await findDevices()).length, 2);
      assert.deepEqual(await findDevices('cpu'), [{ kind: 'cpu' }]);

      await writeFile(join(folder, 'nvidia-smi'), '#!/bin/sh\necho "no driver" >&2\nexit 9\n');
      assert.deepEqual(await findDevices(), [{ kind: 'cpu' }]);
      await assert.rejects(findDevices('gpu'), /lists no GPU/);
    } finally {
      process.env.PATH = before;
      await rm(folder, { recursive: true });
    }
  });
});

describe('planSlots', () => {
  const gpus = parseGpus(twoCards);

  it('gives each GPU a trainer', () => {
    assert.deepEqual(planSlots(gpus), { trainers: gpus, generator: gpus[1] });
  });

  it('leaves the generator a card of its own under a cap', () => {
    assert.deepEqual(planSlots(gpus, 1), { trainers: [gpus[0]], generator: gpus[1] });
    assert.deepEqual(planSlots(gpus, 0).trainers, []);
  });

  it('never has more trainers than devices', () => {
    assert.deepEqual(planSlots([{ kind: 'cpu' }], 4).trainers, [{ kind: 'cpu' }]);
  });
});

describe('resolvePrecision', () => {
  it('resolves auto by the device and leaves a choice alone', () => {
    const gpu = { kind: 'gpu', uuid: 'GPU-0', index: 0, name: 'any', memoryMib: 1 } as const;
    assert.equal(resolvePrecision('auto', gpu), 'bf16');
    assert.equal(resolvePrecision('fp32', gpu), 'fp32');
    assert.equal(resolvePrecision('bf16', { kind: 'cpu' }), 'bf16');
  });

  it('takes bf16 on a CPU that lists the instructions', { skip: process.platform !== 'linux' }, () => {
    const has = /\b(?:avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
    assert.equal(resolvePrecision('auto', { kind: 'cpu' }), has ? 'bf16' : 'fp32');
  });
});
