// Output and exit statuses of nvidia-smi, from its manual, NVIDIA's MIG user guide and users' bug reports.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CardFault, type CardFaultCode, cardFaultIn } from '../faults/card-fault.ts';
import { type FakeSmi, fakeSmi, oneCard, prints, twoCards, uuids } from '../testing/fake-smi.ts';
import { findCards, lookAtCards } from './find-cards.ts';
import { findDevices } from './find-devices.ts';
import { memoryOfProfile, parseListedCards, parseMigDevices, parseMigMemory } from './parse-cards.ts';

let smi: FakeSmi;
before(() => {
  smi = fakeSmi();
});
after(() => smi.close());

const a100 = 'GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77';
const migs = ['MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f', 'MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb'];
const divided = `0, ${a100}, NVIDIA A100-SXM4-40GB, 40960, Enabled\n${twoCards.replace(/^0/, '1')}`;
const listing = `GPU 0: NVIDIA A100-SXM4-40GB (UUID: ${a100})
  MIG 3g.20gb     Device  0: (UUID: ${migs[0]})
  MIG 1g.5gb      Device  1: (UUID: ${migs[1]})
GPU 1: NVIDIA H100 PCIe (UUID: ${uuids.h100})`;
const xml = `<gpu id="00000000:07:00.0"><mig_mode><current_mig>Enabled</current_mig></mig_mode>
  <mig_devices>
    <mig_device><index>0</index><gpu_instance_id>2</gpu_instance_id>
      <fb_memory_usage><total>19968 MiB</total><reserved>0 MiB</reserved><used>11 MiB</used></fb_memory_usage>
      <bar1_memory_usage><total>32767 MiB</total></bar1_memory_usage>
    </mig_device>
    <mig_device><index>1</index>
      <fb_memory_usage><total>4864 MiB</total><used>3 MiB</used></fb_memory_usage></mig_device>
  </mig_devices><uuid>${a100}</uuid></gpu>`;

/** Answers a query, `-L` and `-q -x`. */
const answering = (query: string, list = '', details = '') =>
  `case "$1" in
-L) ${prints(list).replace('exit 0', '')}
;;
-q) ${prints(details).replace('exit 0', '')}
;;
*) ${prints(query).replace('exit 0', '')}
;;
esac`;

describe('what nvidia-smi prints', () => {
  it('names each card, also one that does not report its memory', () => {
    const cards = parseListedCards(
      `${twoCards}\n2, GPU-4c9d0a12-0000-4000-8000-3f2e1d0c9b8a, NVIDIA GB10, [N/A]`,
    );
    assert.deepEqual(
      cards.map(({ index, uuid, name, memoryMib }) => [index, uuid.slice(0, 8), name, memoryMib]),
      [
        [0, 'GPU-8f3a', 'NVIDIA H100 PCIe', 81559],
        [1, 'GPU-1b7d', 'NVIDIA H100 PCIe', 81559],
        [2, 'GPU-4c9d', 'NVIDIA GB10', 0],
      ],
    );
    assert.equal(parseListedCards(twoCards.replaceAll('\n', '\r\n')).length, 2);
    assert.deepEqual([...parseListedCards('No devices were found'), ...parseListedCards('')], []);
  });

  it('names MIG devices, of new drivers and of those before 470', () => {
    assert.deepEqual(
      parseMigDevices(listing).map(({ parent, uuid, profile }) => [parent, uuid, profile]),
      [
        [a100, migs[0], '3g.20gb'],
        [a100, migs[1], '1g.5gb'],
      ],
    );
    const old = `GPU 0: A100-SXM4-40GB (UUID: ${a100})\n  MIG 1g.5gb Device 3: (UUID: MIG-${a100}/7/0)`;
    assert.deepEqual(parseMigDevices(old), [
      { parent: a100, profile: '1g.5gb', index: 3, uuid: `MIG-${a100}/7/0` },
    ]);
    const memories = parseMigMemory(xml).map(({ totalMib, usedMib }) => [totalMib, usedMib]);
    assert.deepEqual(memories, [
      [19968, 11],
      [4864, 3],
    ]);
    assert.ok(memoryOfProfile('1g.12gb') <= 11008 && memoryOfProfile('1c.3g.20gb') > 17_000);
  });
});

describe('findCards', () => {
  it('has MIG devices in place of a card that is divided, each by its own UUID', async () => {
    smi.says(answering(divided, listing, xml));
    const { cards, faults } = await findCards();
    assert.deepEqual(
      cards.map(({ uuid, name, memoryMib, parent }) => [uuid, name, memoryMib, parent]),
      [
        [migs[0], 'NVIDIA A100-SXM4-40GB MIG 3g.20gb', 19968, a100],
        [migs[1], 'NVIDIA A100-SXM4-40GB MIG 1g.5gb', 4864, a100],
        [uuids.h100, 'NVIDIA H100 PCIe', 81559, undefined],
        [uuids.other, 'NVIDIA H100 PCIe', 81559, undefined],
      ],
    );
    assert.deepEqual(faults, []);
  });

  it('says that a divided card has no MIG device, and uses the others', async () => {
    smi.says(answering(divided, `GPU 0: NVIDIA A100-SXM4-40GB (UUID: ${a100})`));
    const { cards, faults } = await findCards();
    assert.deepEqual([cards.length, faults.map(({ code }) => code)], [2, ['gpu_without_mig_device']]);
    smi.says(answering(divided.split('\n')[0]!, ''));
    await assert.rejects(findCards(), (fault) => (fault as CardFault).code === 'gpu_without_mig_device');
  });

  it('asks a driver that knows no MIG again, without it', async () => {
    const invalid = prints('Field "mig.mode.current" is not a valid field to query.', 2);
    smi.says(`case "$1" in\n*mig*) ${invalid}\n;;\nesac\n${prints(oneCard.replace(', Disabled', ''))}`);
    assert.deepEqual(
      (await findCards()).cards.map(({ uuid }) => uuid),
      [uuids.h100],
    );
  });

  const failing: [CardFaultCode, string | null, RegExp][] = [
    ['gpu_tool_missing', null, /no nvidia-smi on the PATH.*NVIDIA's driver/],
    [
      'gpu_driver_not_running',
      prints(
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
        9,
      ),
      /status 9: NVIDIA-SMI has failed because it couldn't communicate.*modprobe nvidia/s,
    ],
    [
      'gpu_driver_mismatch',
      prints('Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.133', 18),
      /version mismatch \/ NVML library version: 570\.133.*restart the machine/,
    ],
    ['gpu_not_reachable', prints('Failed to initialize NVML: Unknown Error', 255), /Unknown Error.*systemd/],
    ['gpu_libraries_missing', 'echo "NVML Shared Library Not Found" >&2; exit 12', /libnvidia-ml\.so\.1/],
    ['gpu_not_found', prints('No devices were found', 6), /No devices were found.*NVIDIA_VISIBLE_DEVICES/],
    ['gpu_not_found', prints('No devices were found'), /lists no GPU.*No devices were found/],
    [
      'gpu_lost',
      prints(
        'Unable to determine the device handle for GPU 0000:0B:00.0: GPU is lost.  Reboot the system to recover this GPU',
        15,
      ),
      /0000:0B:00\.0: GPU is lost.*dmesg/,
    ],
    ['gpu_tool_failed', 'echo "what nobody knows" >&2; exit 77', /status 77: what nobody knows/],
  ];
  for (const [code, lines, message] of failing)
    it(`keeps the words of nvidia-smi: ${code}`, async () => {
      smi.says(lines);
      await assert.rejects(findCards(), (fault) => {
        assert.ok(fault instanceof CardFault);
        assert.equal(fault.code, code);
        assert.match(fault.message, message);
        assert.doesNotMatch(fault.plain, /nvidia-smi|\//, 'messages for teams name no tools or paths');
        return true;
      });
    });
});

describe('what TensorFlow and CUDA say', () => {
  const texts: [CardFaultCode | null, string][] = [
    [
      'gpu_not_found',
      'failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
    ],
    ['gpu_driver_too_old', 'CUDA driver version is insufficient for CUDA runtime version'],
    ['gpu_driver_too_old', 'The NVIDIA driver on your system is too old (found version 11040)'],
    [
      'gpu_driver_too_old',
      'CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain.',
    ],
    [
      'gpu_libraries_missing',
      'Cannot dlopen some GPU libraries. Please make sure the missing libraries mentioned above are installed properly',
    ],
    ['gpu_lost', 'NVRM: Xid (PCI:0000:0b:00): 79, pid=1, GPU has fallen off the bus.'],
    ['gpu_lost', 'CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered'],
    ['gpu_failed', 'CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered'],
    [null, 'OOM when allocating tensor with shape[8,2048] on /device:GPU:0 by allocator GPU_0_bfc'],
    // As logged by TensorFlow 2.21's CUDA build without libcuda.so.1, and with one that fails to start.
    [
      'gpu_libraries_missing',
      'cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)',
    ],
    [
      'gpu_not_used',
      'failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error',
    ],
    [null, 'the loss of step 3 is not a number'],
  ];
  for (const [code, text] of texts)
    it(`is ${code ?? 'no fault of a card'}: ${text.slice(0, 60)}`, () => {
      assert.equal(cardFaultIn(text), code);
    });
});

describe('lookAtCards', () => {
  it('finds the one that is lost where nvidia-smi fails for all', async () => {
    smi.says(answering(twoCards));
    const { cards } = await findCards();
    assert.equal((await lookAtCards(cards)).size, 0);
    const lost = 'Unable to determine the device handle for GPU0000:0B:00.0: Unknown Error';
    smi.says(`case "$1" in\n--id=${uuids.h100}) ${prints(oneCard)}\n;;\nesac\n${prints(lost, 255)}`);
    const faults = await lookAtCards(cards);
    assert.deepEqual([...faults.keys()], [uuids.other]);
    assert.match(faults.get(uuids.other)!.message, /NVIDIA H100 PCIe \(GPU-1b7d.*Unknown Error/);
    // First a card that is no longer listed, then a card that is listed as lost.
    for (const left of [oneCard, twoCards.replace(/81559, Disabled$/, '[GPU requires reset], Disabled')]) {
      smi.says(answering(left));
      const found = await lookAtCards(cards);
      assert.deepEqual(
        [...found].map(([uuid, { code }]) => [uuid, code]),
        [[uuids.other, 'gpu_lost']],
      );
    }
  });

  it('blames no card for a fault of the driver', async () => {
    smi.says(answering(twoCards));
    const { cards } = await findCards();
    for (const [lines, code] of [
      [prints('Failed to initialize NVML: Driver/library version mismatch', 18), 'gpu_driver_mismatch'],
      ['echo "no idea" >&2; exit 77', 'gpu_tool_failed'],
    ] as const) {
      smi.says(lines);
      await assert.rejects(lookAtCards(cards), (fault) => (fault as CardFault).code === code);
    }
  });
});

describe('findDevices', () => {
  it('is the CPU where there is no GPU, unless a GPU was requested or its build is installed', async () => {
    smi.says(null);
    assert.deepEqual(await findDevices(undefined, { build: 'cpu' }), [{ kind: 'cpu' }]);
    for (const [wanted, build] of [
      ['gpu', 'cpu'],
      ['gpu', 'gpu'],
      [undefined, 'gpu'],
    ] as const)
      await assert.rejects(
        findDevices(wanted, { build }),
        (fault) => (fault as CardFault).code === 'gpu_tool_missing',
      );
    assert.deepEqual(await findDevices('cpu', { build: 'gpu' }), [{ kind: 'cpu' }]);
  });

  it('uses no card with the build for processors, and says so', async () => {
    smi.says(answering(twoCards));
    const found: string[] = [];
    const onFault = ({ code }: CardFault) => void found.push(code);
    assert.deepEqual(await findDevices(undefined, { build: 'cpu', onFault }), [{ kind: 'cpu' }]);
    assert.deepEqual(found, ['gpu_not_used']);
    await assert.rejects(findDevices('gpu', { build: 'cpu' }), /build for processors is installed/);
    assert.equal((await findDevices(undefined, { build: 'gpu', onFault })).length, 2);
  });
});
