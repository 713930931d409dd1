import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@graft/service/logger';
import { instruments } from '@graft/service/observe';
import { type FakeSmi, fakeSmi, oneCard, prints, uuids } from '../testing/fake-smi.ts';
import { CardReadings, readCards } from './card-readings.ts';
import { CardWatch } from './card-watch.ts';
import type { Card } from './parse-cards.ts';

let smi: FakeSmi;
before(() => {
  smi = fakeSmi();
});
after(() => smi.close());

const MiB = 2 ** 20;
const card = (index: number, uuid: string): Card => ({
  kind: 'gpu',
  index,
  uuid,
  name: 'NVIDIA H100 PCIe',
  memoryMib: 81_559,
});

test('memory, utilisation and temperature are read of each card, and of a MIG device what is known', async () => {
  const query = `${uuids.h100}, 41210, 81559, 97, 64\n${uuids.other}, 0, 81559, [N/A], [Unknown Error]`;
  const xml = `<gpu id="1"><mig_device><index>1</index><fb_memory_usage><total>9984 MiB</total><used>512 MiB</used></fb_memory_usage></mig_device><uuid>${uuids.other}</uuid></gpu>`;
  smi.says(`case "$1" in\n-q) ${prints(xml)}\n;;\n*) ${prints(query)}\n;;\nesac`);
  const mig: Card = { ...card(1, 'MIG-1'), memoryMib: 9984, parent: uuids.other, migIndex: 1 };
  const readings = await readCards([card(0, uuids.h100), card(1, uuids.other), mig]);
  assert.deepEqual(readings.get(uuids.h100), {
    usedBytes: 41_210 * MiB,
    totalBytes: 81_559 * MiB,
    utilization: 0.97,
    temperature: 64,
  });
  assert.deepEqual(readings.get(uuids.other), {
    usedBytes: 0,
    totalBytes: 81_559 * MiB,
    utilization: null,
    temperature: null,
  });
  assert.deepEqual(readings.get('MIG-1'), {
    usedBytes: 512 * MiB,
    totalBytes: 9984 * MiB,
    utilization: null,
    temperature: null,
  });
});

test('a worker measures its cards again and again; what is not known any more has no value', async () => {
  const values = async () => {
    const of = async (gauge: typeof instruments.gpuUsable) =>
      (await gauge.get()).values.map(({ labels, value }) => [labels.gpu, value]);
    return { usable: await of(instruments.gpuUsable), used: await of(instruments.gpuMemoryUsed) };
  };
  smi.says(prints(`${uuids.h100}, 41210, 81559, 97, 64\n${uuids.other}, 5, 81559, 0, 30`));
  const devices = [card(0, uuids.h100), card(1, uuids.other)];
  const cards = new CardWatch(devices);
  const readings = new CardReadings(cards, createLogger({ level: 'silent', name: 'test' }), 50);
  const until = async (holds: () => Promise<boolean> | boolean) => {
    for (let i = 0; i < 200 && !(await holds()); i++) await sleep(50);
  };
  try {
    await until(() => readings.of(devices[1]!) !== null);
    assert.equal(readings.of(devices[0]!)?.utilization, 0.97);
    assert.equal(readings.of({ kind: 'cpu' }), null);
    assert.deepEqual(await values(), {
      usable: [
        ['0', 1],
        ['1', 1],
      ],
      used: [
        ['0', 41_210 * MiB],
        ['1', 5 * MiB],
      ],
    });
    smi.says(
      `case "$*" in\n*used*) ${prints(`${uuids.h100}, 9, 81559, 0, 30`)}\n;;\nesac\n${prints(oneCard)}`,
    );
    await cards.look();
    // A reading may end while the cards are checked, and has the new memory beside the old health.
    await until(async () => (await values()).usable[1]?.[1] === 0);
    assert.deepEqual(await values(), {
      usable: [
        ['0', 1],
        ['1', 0],
      ],
      used: [['0', 9 * MiB]],
    });
    assert.equal(readings.of(devices[1]!), null);
  } finally {
    await readings.stop();
  }
});
