import { setTimeout as sleep } from 'node:timers/promises';
import type { AdapterExport } from '@graft/client';
import { createJob, isOver, request, untilJob } from '../../harness/jobs.ts';
import { Load } from '../../harness/load.ts';
import { digestsOfTar } from '../../harness/oracles/served-files.ts';
import type { Rig, WiredMember } from '../../harness/rig.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { signalProcess } from '../../harness/services/started.ts';
import { childrenOf } from '../../harness/services/trainers.ts';
import { inFp32, large } from '../../harness/workload.ts';

/** Two formats with one and with many files, which take long enough to be killed while they are written. */
const kinds = [
  { format: 'gguf', options: { dtype: 'q4_k_m' } },
  { format: 'merged', options: { max_shard_bytes: 2_000_000 } },
] as const;

interface Exported {
  kind: (typeof kinds)[number];
  /** sha256 of each file, by path. */
  files: Record<string, string>;
  /** Milliseconds from its start to its end, undisturbed. */
  takes: number;
}

interface Version {
  adapterId: string;
  version: number;
}

export const exportKilled: Scenario = {
  name: 'export-killed',
  title: 'kill -9 while an export is written',
  about:
    'beside a training job a version is exported, and the worker that writes the export, or its exporter, gets SIGKILL at a random moment while it is written. Until it has succeeded no file is listed or served; then its files are those of the undisturbed one.',
  rounds: { short: 1, long: 40 },
  testTimings: true,
  run: async (run) => {
    const { rig, report, rounds } = run;
    const version = await trained(rig);
    const undisturbed: Exported[] = [];
    for (const kind of rounds < kinds.length ? [run.random.pick(kinds)] : kinds)
      undisturbed.push(await control(rig, version, kind));
    const load = await Load.start(run, { inFlight: 1, variants: [inFp32] });
    let writing = 0;
    for (let round = 1; round <= rounds; round++) {
      const wanted = undisturbed[round % undisturbed.length]!;
      report.progress(`fault ${round} of ${rounds}: ${wanted.kind.format}`);
      if (await killed(run, version, wanted, load, round)) writing += 1;
    }
    await rig.heal();
    await load.finish();
    report.figure('killed while bytes were written', writing, '');
  },
};

/** A version of the base model that is large enough. */
async function trained(rig: Rig): Promise<Version> {
  const job = await createJob(rig, large);
  await untilJob(rig, job, isOver);
  const { fine_tuned_model: model } = await rig.team.client.fineTuning.jobs.retrieve(job.id);
  const found = await rig.team.client.adapters.retrieveVersionOf(String(model));
  if (!found) throw new Error(`${job.id} has no version`);
  return { adapterId: found.adapter_id, version: found.version };
}

async function control(rig: Rig, version: Version, kind: Exported['kind']): Promise<Exported> {
  const made = await create(rig, version, kind);
  await until(rig, version, made.id, ({ status }) => status !== 'queued');
  const began = performance.now();
  const ended = await until(rig, version, made.id, isEnded);
  if (ended.status !== 'succeeded')
    throw new Error(`undisturbed, it ended ${ended.status}: ${JSON.stringify(ended.error)}`);
  const takes = performance.now() - began;
  await rig.team.client.adapters.exports.delete(version.adapterId, version.version, made.id);
  return { kind, files: digests(ended), takes };
}

/** One fault. Returns whether it hit while the row showed written bytes. */
async function killed(
  { rig, report, random: all, timings }: Run,
  version: Version,
  { kind, files, takes }: Exported,
  load: Load,
  round: number,
): Promise<boolean> {
  const random = all.forRound(round);
  const made = await create(rig, version, kind);
  await until(rig, version, made.id, ({ status }) => status !== 'queued');
  await sleep(random.between(0, takes));
  const before = await read(rig, version, made.id);
  const holder = await holderOf(rig, made.id);
  const since = performance.now();
  // Otherwise it was faster than the undisturbed one, and its files are only compared.
  if (holder) {
    report.fault();
    await strike(holder, random.pick(['worker', 'exporter'] as const), load);
  }
  const faults: string[] = [];
  let row = before;
  for (const deadline = since + 1000 * (240 + 6 * timings.lease); ; await sleep(50)) {
    row = await read(rig, version, made.id);
    faults.push(...(await earlyFaults(rig, version, row)));
    if (isEnded(row) || performance.now() > deadline) break;
  }
  if (holder) report.recovered(performance.now() - since);
  faults.push(...(await endFaults(rig, version, row, files)));
  report.broken(`export ${made.id} (${kind.format})`, [...new Set(faults)].slice(0, 5));
  await rig.team.client.adapters.exports.delete(version.adapterId, version.version, made.id);
  return holder !== undefined && (before.progress?.bytes ?? 0) > 0;
}

async function strike(holder: WiredMember, target: 'worker' | 'exporter', load: Load): Promise<void> {
  const [exporter] = childrenOf(holder, 'exporter');
  if (target === 'exporter' && exporter !== undefined) return void signalProcess(exporter, 'SIGKILL');
  // A job that this worker trains may lose an attempt.
  for (const { job } of await load.unfinished()) job.strikes += 1;
  holder.signal('SIGKILL');
}

/** Lists the faults of an export that shows a result before it succeeded. */
async function earlyFaults(rig: Rig, version: Version, row: AdapterExport): Promise<string[]> {
  if (row.status === 'succeeded') return [];
  const faults: string[] = [];
  if (row.files.length > 0 || row.bytes !== null || row.download_path !== null)
    faults.push(`it is ${row.status} and lists ${row.files.length} files`);
  const answer = await request(rig, rig.team, 'GET', `${pathOf(version, row.id)}/download`);
  // It may have succeeded in between.
  if (answer?.status === 200 && (await read(rig, version, row.id)).status !== 'succeeded')
    faults.push(`it is ${row.status} and is served`);
  return faults;
}

async function endFaults(
  rig: Rig,
  version: Version,
  row: AdapterExport,
  wanted: Record<string, string>,
): Promise<string[]> {
  if (row.status !== 'succeeded') return [`it is ${row.status}: ${JSON.stringify(row.error)}`];
  const faults: string[] = [];
  const found = digests(row);
  for (const path of new Set([...Object.keys(wanted), ...Object.keys(found)]))
    if (found[path] !== wanted[path]) faults.push(`${path} differs from that of an undisturbed export`);
  const { exports } = rig.team.client.adapters;
  const chunks: Uint8Array[] = [];
  for await (const chunk of exports.download(version.adapterId, version.version, row.id).bytes())
    chunks.push(chunk);
  const served = digestsOfTar(Buffer.concat(chunks));
  for (const { path, sha256 } of row.files)
    if (served.get(path) !== sha256) faults.push(`${path} is served with bytes that differ from its row`);
  const listed = await exports.list(version.adapterId, version.version).toArray(100);
  if (listed.length !== 1) faults.push(`${listed.length} exports are listed, expected one`);
  return faults;
}

const create = async (rig: Rig, { adapterId, version }: Version, kind: Exported['kind']) =>
  await rig.team.client.adapters.exports.create(adapterId, version, {
    format: kind.format,
    options: kind.options,
    keep: false,
  });

const read = async (rig: Rig, { adapterId, version }: Version, id: string) =>
  await rig.team.client.adapters.exports.retrieve(adapterId, version, id);

const isEnded = ({ status }: AdapterExport) => status !== 'queued' && status !== 'running';

async function until(
  rig: Rig,
  version: Version,
  id: string,
  holds: (row: AdapterExport) => boolean,
): Promise<AdapterExport> {
  for (const deadline = performance.now() + 240_000; ; await sleep(50)) {
    const row = await read(rig, version, id);
    if (holds(row)) return row;
    if (performance.now() > deadline) throw new Error(`${id} is still ${row.status}`);
  }
}

const digests = ({ files }: AdapterExport) =>
  Object.fromEntries(files.map(({ path, sha256 }) => [path, sha256]));

const pathOf = ({ adapterId, version }: Version, id: string) =>
  `/adapters/${adapterId}/versions/${version}/exports/${id}`;

/** The worker that writes the export; undefined when none does. */
async function holderOf(rig: Rig, id: string): Promise<WiredMember | undefined> {
  const [worker] = await rig.postgres.query<{ pid: number }>(
    "SELECT pid FROM workers WHERE id = (SELECT worker_id FROM adapter_exports WHERE id = $1 AND status = 'running')",
    [id],
  );
  return worker && rig.workers.find(({ pid }) => pid === worker.pid);
}
