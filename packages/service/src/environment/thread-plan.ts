import { availableParallelism, totalmem } from 'node:os';
import { memoryLimit } from './memory-limit.ts';

/** Threads of one kind: the most that run at a time, and the heap of each in MiB. */
export interface ThreadShare {
  count: number;
  heapMb: number;
}

/** Parts that the memory of an API process is divided among: its main thread, and each kind of thread. */
export type ThreadKind = keyof typeof rows;

/** Memory in MiB. */
export interface ThreadPlan {
  /** The process may use this. */
  limitMb: number;
  /** Source of the limit, for messages; null: the machine's memory, which nothing enforces. */
  limitedBy: string | null;
  /** Sum of all heaps and what is outside them. More than `limitMb`: the process cannot keep the limit. */
  totalMb: number;
  threads: Record<ThreadKind, ThreadShare>;
}

interface Row {
  count: [fewest: number, most: number];
  /** Smallest and largest heap in MiB. */
  heapMb: [smallest: number, largest: number];
  /** Memory of each outside its old generation in MiB: young generation, code, buffers. */
  outsideMb: number;
}

/** Young generation and code of a thread: 60 MiB as measured. */
const outsideMb = 64;

/**
 * Every kind of thread of the API. A tokenizer of 250,000 tokens takes about 300 MB of heap, so a thread that loads one has 384 MiB at
 * least. A row of 4 MiB becomes up to 250 MiB of objects.
 */
const rows = {
  // The main thread, with buffers of requests outside the heap, and the supervisor that started it.
  main: { count: [1, 1], heapMb: [640, 2048], outsideMb: 352 },
  // Two at least: the last is for a team that has none.
  validations: { count: [2, Math.max(2, availableParallelism() - 1)], heapMb: [384, 1024], outsideMb },
  estimates: { count: [1, 2], heapMb: [384, 1024], outsideMb },
  // Counts of tokens are outside the heap, 200 MiB at most.
  reports: { count: [1, 2], heapMb: [384, 1024], outsideMb: 264 },
  // Rows of uploads as they arrive.
  lines: { count: [1, 1], heapMb: [256, 768], outsideMb },
  // Complete files, whose decompressed pages are outside the heap.
  files: { count: [1, 2], heapMb: [256, 768], outsideMb: 192 },
  options: { count: [1, 1], heapMb: [256, 256], outsideMb },
  // A header of 4 MiB becomes about 50 MB of objects.
  adapters: { count: [1, 1], heapMb: [256, 256], outsideMb },
  // The headers of 16 adapters; one matrix of each is outside the heap.
  combinations: { count: [1, 1], heapMb: [256, 256], outsideMb: 256 },
  // A tokenizer.json with two million values becomes half a gigabyte of objects.
  models: { count: [1, 2], heapMb: [512, 2048], outsideMb },
} satisfies Record<string, Row>;

const kinds = Object.keys(rows) as ThreadKind[];
/** Kinds that have fewer threads before heaps are smaller: the others need their second thread so that no team waits for another's work. */
const reducedFirst: readonly ThreadKind[] = ['validations', 'models'];
/** Kinds that have fewer threads only where the smallest heaps do not fit, in this order. */
const reducedLast: readonly ThreadKind[] = ['reports', 'estimates', 'files'];

interface PlanOptions {
  /** Bytes that the operator allows; undefined: the limit of the control groups, else half of the machine's memory. */
  apiMemoryBytes: number | undefined;
  /** Number of validation threads that the operator has set; undefined: as many as fit. */
  validationThreads: number | undefined;
}

/**
 * Divides the memory of an API process: as many threads with as large heaps as fit. Threads beyond the second of a kind are left out before
 * heaps are smaller, second ones after that. Where not even the smallest fit, they are planned all the same, and `totalMb` is more than `limitMb`.
 */
export function planThreads(
  { apiMemoryBytes, validationThreads }: PlanOptions,
  groups = memoryLimit(),
): ThreadPlan {
  const machine = totalmem();
  const isEnforced = groups < machine;
  const bytes = apiMemoryBytes ?? (isEnforced ? groups : machine / 2);
  const limitMb = Math.floor(bytes / 2 ** 20);
  const ranges: Record<ThreadKind, Row> = { ...rows };
  if (validationThreads !== undefined)
    ranges.validations = { ...rows.validations, count: [validationThreads, validationThreads] };

  const counts = Object.fromEntries(kinds.map((kind) => [kind, ranges[kind].count[1]])) as Record<
    ThreadKind,
    number
  >;
  const sum = (part: (row: Row) => number) =>
    kinds.reduce((total, kind) => total + counts[kind] * part(ranges[kind]), 0);
  const largest = (row: Row) => row.heapMb[1] + row.outsideMb;
  const smallest = (row: Row) => row.heapMb[0] + row.outsideMb;
  for (const [kinds, heap] of [
    [reducedFirst, largest],
    [reducedLast, smallest],
  ] as const)
    for (const kind of kinds)
      while (sum(heap) > limitMb && counts[kind] > ranges[kind].count[0]) counts[kind]--;
  const span = sum(largest) - sum(smallest);
  const share = Math.min(1, Math.max(0, (limitMb - sum(smallest)) / span));
  const heapMb = ({ heapMb: [least, most] }: Row) => Math.floor(least + share * (most - least));
  return {
    limitMb,
    limitedBy:
      apiMemoryBytes !== undefined
        ? 'GRAFT_API_MEMORY_MB'
        : isEnforced
          ? 'the memory limit of its container or control group'
          : null,
    totalMb: sum((row) => heapMb(row) + row.outsideMb),
    threads: Object.fromEntries(
      kinds.map((kind) => [kind, { count: counts[kind], heapMb: heapMb(ranges[kind]) }]),
    ) as Record<ThreadKind, ThreadShare>,
  };
}

/** The sentence for an operator whose limit is less than the smallest plan; null: it fits, or nothing enforces the limit. */
export function planFault({ limitMb, limitedBy, totalMb }: ThreadPlan): string | null {
  if (limitedBy === null || totalMb <= limitMb) return null;
  const [needed, given] = [totalMb, limitMb].map((mib) => Math.round(mib * 1.048576));
  return `The API needs ${needed} MB for its threads, and ${limitedBy} is ${given} MB: raise it (docs/deployment.md#memory-of-the-api).`;
}

/** Threads of a worker's own process that read models: an eighth of the memory, of which trainers and the generator need the rest. */
export function planReaders(bytes = Math.min(totalmem(), memoryLimit())): ThreadShare {
  const [least, most] = rows.models.heapMb;
  const heapMb = Math.min(most, Math.max(least, Math.floor(bytes / 2 ** 23)));
  return { count: heapMb < most ? 1 : 2, heapMb };
}
