// A worker for a GPU must report an error instead of computing on the CPU. The installed TensorFlow build determines which cases run
// here; cards/find-cards.test.ts has the others.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createLogger } from '@graft/service/logger';
import type { Services } from '@graft/service/services';
import { openTestServices } from '@graft/service/testing';
import { CardWatch } from '../cards/card-watch.ts';
import { installedBuild } from '../cards/installed-build.ts';
import { loadWorkerEnv } from '../env.ts';
import { CardFault } from '../faults/card-fault.ts';
import { type FakeSmi, fakeSmi, oneCard, prints, uuids } from '../testing/fake-smi.ts';
import { engineProof } from '../training/engine-proof.ts';
import { TrainerProcess } from '../training/trainer-process.ts';
import { startWorker } from '../worker.ts';

let smi: FakeSmi;
let services: Services;
before(async () => {
  smi = fakeSmi();
  services = await openTestServices({ role: 'worker' });
});
after(async () => {
  await services.close();
  await smi.close();
});

const faultOf = async (work: Promise<unknown>): Promise<CardFault> => {
  const fault = await work.then(
    () => null,
    (error) => error,
  );
  assert.ok(fault instanceof CardFault, String(fault));
  return fault;
};

test('GRAFT_TENSORFLOW=gpu starts no worker on a machine without a card, and says why', async () => {
  const env = loadWorkerEnv({ GRAFT_TENSORFLOW: 'gpu' });
  smi.says(null);
  const missing = await faultOf(startWorker(services, env));
  assert.equal(missing.code, 'gpu_tool_missing');
  assert.match(missing.message, /no nvidia-smi on the PATH\. \(gpu_tool_missing\) Install NVIDIA's driver/);
  smi.says(prints('No devices were found', 6));
  assert.equal((await faultOf(startWorker(services, env))).code, 'gpu_not_found');
  assert.equal(await services.db.worker.count(), 0);
});

test('a trainer whose TensorFlow finds no GPU fails the check, which reports what TensorFlow logged', async (t) => {
  // No card has this UUID, so this also fails on a machine with a GPU.
  const device = {
    kind: 'gpu' as const,
    index: 0,
    uuid: uuids.h100,
    name: 'NVIDIA H100 PCIe',
    memoryMib: 81_559,
  };
  const trainer = new TrainerProcess({
    entry: new URL('../training/trainer.ts', import.meta.url),
    device,
    log: createLogger({ level: 'silent', name: 'test' }),
    stallMilliseconds: 120_000,
    idleMilliseconds: 60_000,
  });
  t.after(() => trainer.close());
  smi.says(prints(oneCard));
  const cards = new CardWatch([device]);
  const prove = engineProof(
    [trainer],
    { precision: 'bf16', threads: 1 },
    { cards, isServing: () => true, onKernels: () => {}, onSpeed: () => {} },
  );
  const fault = await faultOf(prove());
  if (installedBuild() === 'cpu') assert.equal(fault.code, 'gpu_not_used');
  else assert.match(fault.code, /^gpu_(?:not_used|not_found|libraries_missing)$/);
  assert.match(
    fault.message,
    /NVIDIA H100 PCIe \(GPU-8f3a.*found no GPU in this process.*TensorFlow logged/s,
  );
  assert.equal(cards.faultOf(device), fault);
});
