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
import { done, says, startScriptedWorker, token } from '../../apps/api/src/testing/scripted-worker.ts';
import { commandLine } from '../../scripts/command-line.ts';
import { inLanes } from '../../scripts/measuring/processes.ts';
import { describeMachine, facts, markdownTable } from '../../scripts/measuring/report.ts';
import { type Asked, createJob, type RunningApi, startApi, toolCall, uploadFile } from '../running-api.ts';

interface Kind {
  name: string;
  /** Number of requests of the cheapest kinds for each one of this kind: slow kinds are rarer, as in use. */
  every?: number;
  /** The `i`th request, or requests that belong together; their answers' statuses. */
  send(i: number): Promise<number[]>;
}

const line = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
/** A key, and a file and a job of its team. */
interface Holder {
  key: string;
  file: string;
  job: string;
}

const teams = 10;
const keysPerTeam = 20;

/** The kinds, over an API that has some teams, keys, files and jobs. */
async function openKinds(api: RunningApi): Promise<{ kinds: Kind[]; close(): Promise<void> }> {
  const worker = await startScriptedWorker(api.services, 'bench', says(token('Hel'), token('lo'), done()));
  // A silent worker counts as dead.
  const heartbeat = setInterval(() => void worker.register().catch(() => {}), 2_000);
  const holders: Holder[] = [];
  for (let team = 0; team < teams; team++) {
    const { id, key } = await api.newTeam(`team-${team}`);
    const file = await uploadFile(api, key, line.repeat(20));
    const job = await createJob(api, key, file);
    holders.push({ key, file, job });
    for (let i = 1; i < keysPerTeam; i++) holders.push({ key: await api.newKey(id), file, job });
  }
  const holder = (i: number) => holders[i % holders.length]!;
  const statusOf = async (asked: Asked): Promise<number> => (await api.ask(asked)).status;
  /** A kind of single requests, with the holder's key unless they have another. */
  const single = (name: string, every: number, asked: (own: Holder, i: number) => Asked): Kind => ({
    name,
    every,
    send: async (i) => [await statusOf({ key: holder(i).key, ...asked(holder(i), i) })],
  });
  const etags = new Map<string, string>();
  const jobs = '/v1/fine_tuning/jobs';
  const chats = { method: 'POST', path: '/v1/chat/completions' };
  const chat = { model: 'tiny', messages: [{ role: 'user', content: 'a' }] };
  const streamed = { ...chat, stream: true };
  const long = 'word '.repeat(20_000);

  const kinds: Kind[] = [
    single('get a job', 1, ({ job }) => ({ path: `${jobs}/${job}` })),
    {
      name: 'poll a job by ETag',
      send: async (i) => {
        const { job, key } = holder(i);
        const known = etags.get(key);
        const headers = known ? { 'if-none-match': known } : {};
        const answer = await api.ask({ path: `${jobs}/${job}`, key, headers });
        etags.set(key, answer.headers.get('etag') ?? '');
        return [answer.status];
      },
    },
    single('list jobs', 1, () => ({ path: `${jobs}?limit=20` })),
    single('list files', 1, () => ({ path: '/v1/files' })),
    single('list models', 1, () => ({ path: '/v1/models' })),
    single('list events', 1, ({ job }) => ({ path: `${jobs}/${job}/events` })),
    single('follow events, and hang up', 4, ({ job }) => ({
      path: `${jobs}/${job}/events?stream=true`,
      hangUp: true,
    })),
    single('download a file', 1, ({ file }) => ({ path: `/v1/files/${file}/content` })),
    {
      name: 'upload a file, and delete it',
      every: 10,
      send: async (i) => {
        const { key } = holder(i);
        const file = await uploadFile(api, key, line.repeat(20));
        return [200, await statusOf({ method: 'DELETE', path: `/v1/files/${file}`, key })];
      },
    },
    {
      name: 'create a job, and cancel it',
      every: 20,
      send: async (i) => {
        const { key, file } = holder(i);
        const job = await createJob(api, key, file);
        return [200, await statusOf({ method: 'POST', path: `${jobs}/${job}/cancel`, key })];
      },
    },
    single('estimate a job', 40, (_, i) => {
      const { key, file } = holder(i * keysPerTeam);
      const body = { model: 'tiny', training_file: file };
      return { method: 'POST', path: '/v1/fine_tuning/estimates', key, body };
    }),
    single('chat', 2, () => ({ ...chats, body: chat })),
    single('chat by stream', 2, () => ({ ...chats, body: streamed })),
    single('chat by stream, and hang up', 4, () => ({ ...chats, body: streamed, hangUp: true })),
    single('a tool of MCP', 2, ({ key }) => toolCall(key, 'list_files', {})),
    single('a refused body of 100 kB', 4, () => ({ method: 'POST', path: jobs, body: { model: long } })),
    single('a body that is no JSON', 1, () => ({ method: 'POST', path: jobs, body: '{"model": ' })),
    single('a wrong key', 1, (_, i) => ({
      path: '/v1/files',
      key: `graft_${String(i).padStart(12, 'a')}_${'b'.repeat(40)}`,
    })),
    single('an unknown path', 1, (_, i) => ({ path: `/v1/no/such/path/${i}` })),
  ];
  const close = async () => {
    clearInterval(heartbeat);
    await worker.close();
  };
  return { kinds, close };
}

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
      await inLanes(
        connections,
        (next) => next >= count,
        async (i) => {
          for (const status of await send(figure.sent + i)) {
            figure.statuses[status] = (figure.statuses[status] ?? 0) + 1;
            sent++;
          }
        },
      );
      figure.sent += count;
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

  const shown = ({ heapUsed, external, rss }: Memory) => [heapUsed, external, rss].map(mb);
  const overRounds = markdownTable(
    ['after', 'requests', 'time', 'heap MB', 'external MB', 'RSS MB'],
    [
      ['the start', '0', '', ...shown(start)],
      ...after.map((own, i) => [`round ${i + 1}`, `${own.requests}`, own.minutes, ...shown(own)]),
    ],
  );
  const byKind = markdownTable(
    ['kind', 'sent', 'a second', 'answers', 'heap since round 1, kB', 'bytes each'],
    figures.map(({ name, sent, seconds, statuses, grown, counted }) => {
      const answers = Object.entries(statuses).map(([status, count]) => `${count} × ${status}`);
      const bytes = [(grown / 1024).toFixed(0), (grown / counted).toFixed(1)];
      return [name, `${sent}`, (sent / seconds).toFixed(0), answers.join(', '), ...bytes];
    }),
  );
  console.log(`\n${facts(describeMachine(null))}\n\n${overRounds}\n${byKind}`);
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
