import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Ask, Clients, type Kind } from '../../harness/clients.ts';
import { createJob, untilJob } from '../../harness/jobs.ts';
import { spread } from '../../harness/recovery.ts';
import type { Team } from '../../harness/rig.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { baseModel, quick } from '../../harness/workload.ts';

/** How many times more requests a second are sent than the machine answers. */
const factor = 4;
const queuedJobs = 10_000;
const pollers = 200;
/** Clients that measure what the machine answers, and for how many seconds. */
const measuring = { clients: 16, seconds: 5 };
const teams = 6;

export const overload: Scenario = {
  name: 'overload',
  title: 'four times the load that the machine holds',
  about:
    '10,000 jobs are queued and 200 clients poll one of them, while six teams read, create jobs, upload, estimate and call tools, four times as often as the machine answers in calm, beside twice as many busy threads as processors. Every answer is a success, or with Retry-After 503, or 429 to a key that has all its requests open; what an answer promised is there, and no Idempotency-Key made two jobs.',
  rounds: { short: 12, long: 60 },
  testTimings: true,
  run: async (run) => {
    const { rig, report, rounds: seconds } = run;
    for (const worker of [...rig.workers]) await rig.removeWorker(worker);
    const { kinds, poll, promised } = await prepare(run);
    const clients = new Clients(rig);
    try {
      const calm = await clients.closed(kinds, measuring.clients, measuring.seconds);
      report.broken('in calm every request succeeds', calm.faults);
      report.progress(`${Math.round(calm.rate)} answers a second in calm: ${calm.byStatus}`);
      const hogs = Array.from(
        { length: 2 * availableParallelism() },
        () => new Worker('for (;;);', { eval: true }),
      );
      try {
        const [flood, polls] = await Promise.all([
          clients.open(kinds, factor * calm.rate, seconds),
          clients.poll(pollers, poll, seconds),
        ]);
        report.tried = flood.answers + polls.answers;
        report.progress(`${flood.sent} requests: ${flood.byStatus}; ${pollers} pollers: ${polls.byStatus}`);
        report.figure('offered', flood.sent / seconds / calm.rate, '× calm');
        report.figure('succeeded', flood.successes / seconds / calm.rate, '× calm');
        report.figure("pollers' p99", spread(polls.times)?.p99 ?? 0, 'ms');
        report.broken('requests are answered, or refused with Retry-After', flood.faults);
        report.broken('pollers are answered', polls.faults);
      } finally {
        await Promise.all(hogs.map((hog) => hog.terminate()));
      }
      const after = await clients.closed(kinds, 1, 5);
      report.broken('afterwards every request succeeds', after.faults);
      report.broken('what was promised is there', await promised());
    } finally {
      clients.close();
      await rig.postgres.query("DELETE FROM jobs WHERE metadata->>'overload' = 'copy'");
    }
  },
};

interface Scene {
  /** The first is also sent in place of others that are limited. */
  kinds: Kind[];
  poll: Kind;
  /** Faults of results that answers promised: missing or doubled. */
  promised(): Promise<string[]>;
}

async function prepare({ rig, report, random }: Run): Promise<Scene> {
  const job = await createJob(rig, quick);
  await untilJob(rig, job, ({ state }) => state === 'queued');
  await rig.postgres.query(
    `INSERT INTO jobs SELECT (jsonb_populate_record(job, jsonb_build_object('id', 'job-overload-' || n, 'metadata', '{"overload": "copy"}'::jsonb))).*
     FROM jobs AS job, generate_series(1, ${queuedJobs}) AS n WHERE job.id = $1`,
    [job.id],
  );
  report.progress(`${queuedJobs} jobs are queued`);
  const all = [rig.team];
  for (let i = 1; i < teams; i++) all.push(await rig.addTeam(`overload-${i}`));
  const upload = formOf(JSON.stringify({ prompt: 'a question', completion: ' an answer' }), 2000);
  const files = new Map<Team, string>();
  for (const team of all) {
    const blob = new File([`${JSON.stringify({ prompt: 'a', completion: 'b' })}\n`.repeat(20)], 'a.jsonl');
    files.set(team, (await team.client.files.upload({ file: blob })).id);
  }

  let turn = 0;
  const of = (make: (team: Team) => Omit<Ask, 'team'>) => () => {
    const team = all[turn++ % all.length]!;
    return { team, ...make(team) };
  };
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const get = (path: string) => of(() => ({ method: 'GET', path }));
  const planned = (team: Team) => ({ model: baseModel, training_file: files.get(team) });
  const created = new Set<string>();
  const keys = new Set<string>();
  const uploaded = new Set<string>();
  const idIn = (body: string) => (JSON.parse(body) as { id: string }).id;
  const poll: Kind = {
    name: 'poll',
    weight: 8,
    make: () => ({
      team: rig.team,
      method: 'GET',
      path: `/fine_tuning/jobs/job-overload-${1 + random.below(queuedJobs)}`,
    }),
  };
  const kinds: Kind[] = [
    poll,
    {
      name: 'list jobs',
      weight: 3,
      make: () => ({ team: rig.team, method: 'GET', path: '/fine_tuning/jobs?limit=100' }),
    },
    {
      name: 'events',
      weight: 3,
      make: () => ({ team: rig.team, method: 'GET', path: `/fine_tuning/jobs/${job.id}/events` }),
    },
    { name: 'list files', weight: 2, make: get('/files') },
    { name: 'list models', weight: 2, make: get('/models') },
    { name: 'team', weight: 1, make: get('/team') },
    {
      name: 'create a job',
      weight: 4,
      make: of((team) => {
        const key = randomUUID();
        keys.add(key);
        return {
          method: 'POST',
          path: '/fine_tuning/jobs',
          body: json({ ...planned(team), metadata: { chaos: key, overload: 'copy' } }),
          headers: { 'idempotency-key': key },
          onSuccess: (body) => created.add(idIn(body)),
        };
      }),
    },
    {
      name: 'upload',
      weight: 3,
      most: 60,
      make: of(() => ({
        method: 'POST',
        path: '/files',
        body: upload.body,
        headers: { 'content-type': upload.type },
        onSuccess: (body) => uploaded.add(idIn(body)),
      })),
    },
    {
      name: 'check',
      weight: 1,
      make: of((team) => ({
        method: 'POST',
        path: '/fine_tuning/checks',
        body: json({ ...planned(team), peft: { peft_type: 'LORA', target_modules: '.*(q|v)_proj' } }),
      })),
    },
    {
      name: 'estimate',
      weight: 1,
      make: of((team) => ({ method: 'POST', path: '/fine_tuning/estimates', body: json(planned(team)) })),
    },
    {
      name: 'call a tool',
      weight: 1,
      make: of(() => ({
        method: 'POST',
        path: '/mcp',
        body: json({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name: 'list_files', arguments: {} },
        }),
        headers: { accept: 'application/json, text/event-stream' },
      })),
    },
    {
      name: 'chat',
      weight: 1,
      make: of(() => ({
        method: 'POST',
        path: '/chat/completions',
        body: json({ model: baseModel, messages: [{ role: 'user', content: 'hello' }] }),
      })),
    },
  ];
  const promised = async () => {
    const [counts] = await rig.postgres.query<{ created: number; uploaded: number; doubled: number }>(
      `SELECT (SELECT count(*)::int FROM jobs WHERE id = ANY ($1)) AS created,
              (SELECT count(*)::int FROM files WHERE id = ANY ($2)) AS uploaded,
              (SELECT count(*)::int FROM (SELECT 1 FROM jobs WHERE metadata->>'chaos' = ANY ($3)
                 GROUP BY metadata->>'chaos' HAVING count(*) > 1) AS several) AS doubled`,
      [[...created], [...uploaded], [...keys]],
    );
    const lacks = (what: string, sent: number, found = 0) =>
      found === sent ? [] : [`${found} of ${sent} ${what}`];
    return [
      ...lacks('created jobs', created.size, counts?.created),
      ...lacks('uploaded files', uploaded.size, counts?.uploaded),
      ...lacks('jobs are doubled', 0, counts?.doubled),
    ];
  };
  return { kinds, poll, promised };
}

function formOf(line: string, count: number): { type: string; body: Buffer } {
  const boundary = 'overload';
  const part = (head: string, content: string) =>
    `--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n${content}\r\n`;
  const text = `${part('name="purpose"', 'fine-tune')}${part('name="file"; filename="a.jsonl"', `${line}\n`.repeat(count))}--${boundary}--\r\n`;
  return { type: `multipart/form-data; boundary=${boundary}`, body: Buffer.from(text) };
}
