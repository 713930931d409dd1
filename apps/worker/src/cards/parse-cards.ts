import type { Device } from '../devices.ts';

export type Card = Extract<Device, { kind: 'gpu' }>;

/** The fields that `parseListedCards` reads. Drivers before 450 do not know the MIG field and exit with status 2 when it is queried. */
export const cardFields = ['index', 'uuid', 'name', 'memory.total'] as const;

/** Splits a line of CSV output without units into fields. */
const fieldsOf = (line: string): string[] => line.split(',').map((field) => field.trim());

/** Parses a numeric field; null for values such as "[N/A]", "[Not Supported]" and "[Unknown Error]". */
export function numberIn(field: string | undefined): number | null {
  return field !== undefined && /^\d+(?:\.\d+)?$/.test(field) ? Number(field) : null;
}

/** One line of `--query-gpu=index,uuid,name,memory.total,mig.mode.current`. */
export interface ListedCard extends Card {
  /** MIG mode is on: computation is possible only on the card's MIG devices. */
  isDivided: boolean;
  /** The card is listed but unusable: its fields contain "[GPU is lost]" or "[GPU requires reset]". */
  isLost: boolean;
}

/**
 * Parses the output of `nvidia-smi --query-gpu=index,uuid,name,memory.total[,mig.mode.current] --format=csv,noheader,nounits`.
 * Skips other lines ("No devices were found", driver warnings). A memory of "[N/A]", as on machines that share memory between CPU
 * and GPU, is 0.
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

/** A MIG device: a partition of a card with separate memory and compute units. */
export interface MigDevice {
  /** Value for CUDA_VISIBLE_DEVICES: `MIG-<uuid>`, or `MIG-GPU-<uuid>/<gi>/<ci>` with drivers before 470. */
  uuid: string;
  /** UUID of its card. */
  parent: string;
  /** Index among the MIG devices of its card. */
  index: number;
  /** Such as 1g.5gb, or 1c.3g.20gb for a compute instance within a GPU instance. */
  profile: string;
}

/** Parses the MIG devices from the output of `nvidia-smi -L`. */
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

/** Memory of one MIG device in MiB. */
export interface MigMemory {
  parent: string;
  index: number;
  totalMib: number;
  usedMib: number | null;
}

/** Parses the memory of MIG devices from the output of `nvidia-smi -q -x`, because no CSV query reports it. */
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
 * Lower bound of the memory (MiB) of a MIG device with this profile, for drivers that do not report it. Profiles name gigabytes,
 * rounded up by at most 9 % (a 1g.12gb of an H100 with 94 GB has 11,008 MiB).
 */
export function memoryOfProfile(profile: string): number {
  const gigabytes = Number(/\.(\d+)gb/.exec(profile)?.[1] ?? 0);
  return Math.floor((gigabytes * 0.9 * 1e9) / 2 ** 20);
}
