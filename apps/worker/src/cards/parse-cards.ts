import type { Device } from '../devices.ts';

export type Card = Extract<Device, { kind: 'gpu' }>;

/** What `parseGpus` reads. Drivers before 450 know no MIG, and answer a query for it with status 2. */
export const cardFields = ['index', 'uuid', 'name', 'memory.total'] as const;

/** A line of a query in CSV without units, as its fields. */
const fieldsOf = (line: string): string[] => line.split(',').map((field) => field.trim());

/** A number of such a field; null where the card does not tell: "[N/A]", "[Not Supported]", "[Unknown Error]". */
export function numberIn(field: string | undefined): number | null {
  return field !== undefined && /^\d+(?:\.\d+)?$/.test(field) ? Number(field) : null;
}

/** What one line of `--query-gpu=index,uuid,name,memory.total,mig.mode.current` says. */
export interface ListedCard extends Card {
  /** MIG mode is on: only its MIG devices compute. */
  isDivided: boolean;
  /** It is listed, but not there any more: its fields have "[GPU is lost]" or "[GPU requires reset]". */
  isLost: boolean;
}

/**
 * Reads what `nvidia-smi --query-gpu=index,uuid,name,memory.total[,mig.mode.current] --format=csv,noheader,nounits` printed.
 * Lines of another form ("No devices were found", driver warnings) are no GPU; a memory of "[N/A]", as on machines that
 * share memory between CPU and GPU, is 0.
 */
export function parseListedCards(output: string): ListedCard[] {
  return output.split(/\r?\n/).flatMap((line) => {
    const [index, uuid, name, memory, mig] = fieldsOf(line);
    if (!/^\d+$/.test(index ?? '') || !/^GPU-[0-9a-fA-F-]+$/.test(uuid ?? '') || memory === undefined)
      return [];
    return [
      {
        kind: 'gpu' as const,
        index: Number(index),
        uuid: uuid!,
        name: name!,
        memoryMib: numberIn(memory) ?? 0,
        isDivided: mig === 'Enabled',
        isLost: /GPU is lost|requires reset/i.test(line),
      },
    ];
  });
}

/** The same, of cards that are there, as devices. */
export function parseGpus(output: string): Card[] {
  return parseListedCards(output)
    .filter(({ isLost }) => !isLost)
    .map(({ isDivided: _, isLost: __, ...card }) => card);
}

/** A MIG device: a part of a card with memory and processors of its own. */
export interface MigDevice {
  /** What CUDA_VISIBLE_DEVICES takes: `MIG-<uuid>`, or `MIG-GPU-<uuid>/<gi>/<ci>` of drivers before 470. */
  uuid: string;
  /** Of its card. */
  parent: string;
  /** Of those of its card. */
  index: number;
  /** Such as 1g.5gb, or 1c.3g.20gb of an instance that is divided again. */
  profile: string;
}

/** Reads the MIG devices of what `nvidia-smi -L` printed. */
export function parseMigDevices(output: string): MigDevice[] {
  const devices: MigDevice[] = [];
  let parent: string | null = null;
  for (const line of output.split(/\r?\n/)) {
    const card = /^GPU \d+: .*\(UUID: (GPU-[0-9a-fA-F-]+)\)/.exec(line);
    if (card) parent = card[1]!;
    const mig = /^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[0-9a-zA-Z/-]+)\)/.exec(line);
    if (mig && parent) devices.push({ parent, profile: mig[1]!, index: Number(mig[2]), uuid: mig[3]! });
  }
  return devices;
}

/** Of one MIG device, in MiB. */
export interface MigMemory {
  parent: string;
  index: number;
  totalMib: number;
  usedMib: number | null;
}

/** Reads how much memory MIG devices have, of what `nvidia-smi -q -x` printed: no query in CSV tells it. */
export function parseMigMemory(xml: string): MigMemory[] {
  return xml.split(/<gpu id=/).flatMap((card) => {
    const parent = /<uuid>(GPU-[0-9a-fA-F-]+)<\/uuid>/.exec(card)?.[1];
    if (!parent) return [];
    return [...card.matchAll(/<mig_device>([\s\S]*?)<\/mig_device>/g)].flatMap(([, device]) => {
      const index = /<index>(\d+)<\/index>/.exec(device!)?.[1];
      const memory = /<fb_memory_usage>([\s\S]*?)<\/fb_memory_usage>/.exec(device!)?.[1] ?? '';
      const mib = (name: string) => numberIn(new RegExp(`<${name}>(\\d+) MiB</${name}>`).exec(memory)?.[1]);
      const totalMib = mib('total');
      return index === undefined || totalMib === null
        ? []
        : [{ parent, index: Number(index), totalMib, usedMib: mib('used') }];
    });
  });
}

/**
 * MiB that a MIG device of this profile has at least, where the driver does not tell: profiles name gigabytes, rounded up by as
 * much as 9 % (a 1g.12gb of an H100 with 94 GB has 11,008 MiB).
 */
export function memoryOfProfile(profile: string): number {
  const gigabytes = Number(/\.(\d+)gb/.exec(profile)?.[1] ?? 0);
  return Math.floor((gigabytes * 0.9 * 1e9) / 2 ** 20);
}
