/**
 * npm run bench:memory: whether the API's memory stays flat. Sends every ordinary kind of request to a real API process, kind after kind
 * and round after round, and reads its heap after a full collection and its resident memory (RSS) after each. Reports memory over the
 * rounds, and how much each kind made the heap grow. The first round fills caches, pools and compiled code, and is not counted.
 *
 * npm run bench:memory -- [--requests 40000] [--rounds 5] [--connections 16] [--kinds TEXT,…] [--output FILE] [--check]
 *   --requests     requests of each kind, in all rounds together; fewer of slow kinds
 *   --connections  requests that are open at a time
 *   --kinds        only kinds whose names hold one of these texts
 *   --output       the figures go to this file, too, as JSON, after every round
 *   --check        fails where the heap grows by more than 2 % from round to round, or 20 bytes a request
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { commandLine } from '../../scripts/command-line.ts';
import { describeMachine, facts, markdownTable } from '../../scripts/measuring/report.ts';
import { startApi } from '../running-api.ts';
import { openKinds } from './kinds.ts';

const { requests, rounds, connections, ...options } = commandLine(
  {
    kinds: { type: 'string', default: '' },
    output: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
  { requests: 40_000, rounds: 5, connections: 16 },
  { requests: 100, rounds: 3 },
);

interface Memory {
  heapUsed: number;
  external: number;
  rss: number;
}

const reporter = pathToFileURL(path.join(import.meta.dirname, 'report-memory.mjs')).href;
const api = await startApi({
  flags: ['--expose-gc', `--import=${reporter}`],
  connections,
  settings: {
    // They count, and refuse nothing.
    GRAFT_RATE_PER_KEY: '9999999',
    GRAFT_RATE_PER_ADDRESS: '9999999',
    GRAFT_RATE_WRONG_KEYS_PER_ADDRESS: '9999999',
  },
});

async function readMemory(): Promise<Memory> {
  api.process.send('memory');
  for (;;) {
    const [message] = await once(api.process, 'message');
    if (message.type === 'memory') return message;
  }
}

const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
const started = performance.now();
const minutes = (): string => `${((performance.now() - started) / 60_000).toFixed(1)} min`;

interface Figures {
  name: string;
  sent: number;
  /** Requests and bytes of heap since the first round. */
  counted: number;
  grown: number;
  seconds: number;
  statuses: Record<string, number>;
}

const { kinds: all, close } = await openKinds(api);
try {
  const wanted = options.kinds.split(',').filter(Boolean);
  const kinds = all.filter(({ name }) => wanted.length === 0 || wanted.some((text) => name.includes(text)));
  if (kinds.length === 0)
    throw new Error(`--kinds: no kind has such a name; there are ${all.map(({ name }) => name).join('; ')}`);
  const figures = kinds.map(
    ({ name }): Figures => ({ name, sent: 0, counted: 0, grown: 0, seconds: 0, statuses: {} }),
  );
  const start = await readMemory();
  const after: (Memory & { requests: number; minutes: string })[] = [];
  let before = start;
  let sent = 0;
  for (let round = 0; round < rounds; round++) {
    for (const [k, { name, every = 1, send }] of kinds.entries()) {
      const figure = figures[k]!;
      const count = Math.max(connections, Math.ceil(requests / every / rounds));
      const from = performance.now();
      let next = figure.sent;
      const end = next + count;
      await Promise.all(
        Array.from({ length: connections }, async () => {
          while (next < end) {
            for (const status of await send(next++)) {
              figure.statuses[status] = (figure.statuses[status] ?? 0) + 1;
              sent++;
            }
          }
        }),
      );
      figure.sent = end;
      figure.seconds += (performance.now() - from) / 1000;
      const memory = await readMemory();
      if (round > 0) {
        figure.counted += count;
        figure.grown += memory.heapUsed - before.heapUsed;
      }
      before = memory;
      console.log(
        `${minutes()}  round ${round + 1} of ${rounds}  ${name}: ${count}, heap ${mb(memory.heapUsed)} MB, external ${mb(memory.external)} MB, RSS ${mb(memory.rss)} MB`,
      );
    }
    after.push({ ...before, requests: sent, minutes: minutes() });
    if (options.output)
      writeFileSync(options.output, `${JSON.stringify({ start, after, figures }, null, 2)}\n`);
  }

  console.log(`\n${facts(describeMachine(null))}\n`);
  const row = (name: string, requests: number, time: string, { heapUsed, external, rss }: Memory) => [
    name,
    String(requests),
    time,
    mb(heapUsed),
    mb(external),
    mb(rss),
  ];
  console.log(
    markdownTable(
      ['after', 'requests', 'time', 'heap MB', 'external MB', 'RSS MB'],
      [
        row('the start', 0, '', start),
        ...after.map((memory, i) => row(`round ${i + 1}`, memory.requests, memory.minutes, memory)),
      ],
    ),
  );
  console.log(
    `\n${markdownTable(
      ['kind', 'sent', 'a second', 'answers', 'heap since round 1, kB', 'bytes each'],
      figures.map(({ name, sent, seconds, statuses, grown, counted }) => [
        name,
        String(sent),
        (sent / seconds).toFixed(0),
        Object.entries(statuses)
          .map(([status, count]) => `${count} × ${status}`)
          .join(', '),
        (grown / 1024).toFixed(0),
        (grown / counted).toFixed(1),
      ]),
    )}`,
  );
  const [first, last] = [after[0]!, after.at(-1)!];
  const grown = last.heapUsed - first.heapUsed;
  const each = grown / (last.requests - first.requests);
  const isFlat = grown / first.heapUsed <= 0.02 * (rounds - 1) && each <= 20;
  console.log(
    `\nThe heap ${isFlat ? 'is flat' : 'GROWS'}: ${mb(grown)} MB (${each.toFixed(1)} bytes a request) from round 1 to round ${rounds}; RSS ${mb(first.rss)} to ${mb(last.rss)} MB.`,
  );
  if (options.check && !isFlat) process.exitCode = 1;
} finally {
  await close();
  await api.close();
}
