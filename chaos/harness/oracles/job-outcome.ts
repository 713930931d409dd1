import type { AcceptedJob, JobRow } from '../jobs.ts';
import { isOver, readJobs } from '../jobs.ts';
import type { Rig } from '../rig.ts';
import { servedFaults } from './served-files.ts';

/** Everything that can be compared of a succeeded job. */
export interface Outcome {
  /** Losses of each kind, ordered by step. */
  train: [step: number, loss: number][];
  evaluation: [step: number, loss: number][];
  /** sha256 of each file of its adapter, by path. */
  files: Record<string, string>;
}

export async function outcomeOf(rig: Rig, id: string): Promise<Outcome> {
  const metrics = await rig.postgres.query<{ kind: string; step: number; loss: number }>(
    'SELECT kind, step, loss FROM job_metrics WHERE job_id = $1 ORDER BY kind, step',
    [id],
  );
  const versions = await rig.postgres.query<{ files: { path: string; sha256: string }[] }>(
    'SELECT files FROM adapter_versions WHERE job_id = $1',
    [id],
  );
  const series = (kind: string) =>
    metrics.filter((row) => row.kind === kind).map((row): [number, number] => [row.step, row.loss]);
  return {
    train: series('train'),
    evaluation: series('evaluation'),
    files: Object.fromEntries((versions[0]?.files ?? []).map(({ path, sha256 }) => [path, sha256])),
  };
}

/** Faults of a job that should have succeeded, a line each. Empty: it ended once, with the control's results. */
export async function faultsOf(rig: Rig, job: AcceptedJob, control: Outcome): Promise<string[]> {
  const row = (await readJobs(rig, [job])).get(job.id);
  if (!row) return ['accepted with 201, but it has no row'];
  if (row.state !== 'succeeded') {
    return [`it ${isOver(row) ? 'ended' : 'is still'} ${row.state}: ${JSON.stringify(row.error)}`];
  }
  const outcome = await outcomeOf(rig, job.id);
  return [
    ...seriesFaults('train', outcome.train, control.train),
    ...seriesFaults('evaluation', outcome.evaluation, control.evaluation),
    ...fileFaults(outcome.files, control.files),
    ...(await onceFaults(rig, job)),
    ...(await lateRows(rig, row)),
    ...(await attemptFaults(rig, row, job)),
    ...(await servedFaults(job)),
  ];
}

function seriesFaults(kind: string, found: [number, number][], wanted: [number, number][]): string[] {
  const losses = new Map(found);
  const holes = wanted.filter(([step]) => !losses.has(step)).map(([step]) => step);
  const others = wanted.filter(([step, loss]) => losses.has(step) && losses.get(step) !== loss);
  const faults: string[] = [];
  if (holes.length > 0)
    faults.push(`${holes.length} ${kind} losses are missing, the first at step ${holes[0]}`);
  if (others.length > 0) {
    faults.push(`${others.length} ${kind} losses are not the control's, the first at step ${others[0]?.[0]}`);
  }
  if (found.length > wanted.length) faults.push(`${found.length - wanted.length} ${kind} losses too many`);
  return faults;
}

function fileFaults(found: Record<string, string>, wanted: Record<string, string>): string[] {
  const names = new Set([...Object.keys(found), ...Object.keys(wanted)]);
  return [...names]
    .filter((name) => found[name] !== wanted[name])
    .map((name) => `${name} differs from the control's`);
}

/** Counts the rows that the end of a job writes, one of each kind. */
async function onceFaults(rig: Rig, job: AcceptedJob): Promise<string[]> {
  const [counts] = await rig.postgres.query<Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM jobs WHERE metadata->>'chaos' = $2) AS jobs,
            (SELECT count(*)::int FROM adapter_versions WHERE job_id = $1) AS versions,
            (SELECT count(*)::int FROM outbox WHERE payload->>'id' = $1 AND topic ~ 'succeeded|failed|cancelled') AS outbox,
            (SELECT count(*)::int FROM job_events WHERE job_id = $1 AND message = 'The job has successfully completed') AS ends`,
    [job.id, job.key],
  );
  return Object.entries(counts ?? {})
    .filter(([, count]) => count !== 1)
    .map(([name, count]) => `${count} rows of ${name}, expected one`);
}

/** Rows written after the end, by a holder of an expired lease. */
async function lateRows(rig: Rig, row: JobRow): Promise<string[]> {
  const late = await rig.postgres.query<{ kind: string }>(
    `SELECT 'metric of step ' || step AS kind FROM job_metrics WHERE job_id = $1 AND created_at > $2
     UNION ALL SELECT 'checkpoint of step ' || step FROM checkpoints WHERE job_id = $1 AND created_at > $2
     UNION ALL SELECT 'event "' || message || '"' FROM job_events WHERE job_id = $1 AND created_at > $2::timestamptz + interval '1 second'`,
    [row.id, row.finished_at],
  );
  return late.slice(0, 3).map(({ kind }) => `written after the end: ${kind}`);
}

/** Each attempt is closed, one of them succeeded, and the job was charged for no more attempts than faults hit it. */
async function attemptFaults(rig: Rig, row: JobRow, job: AcceptedJob): Promise<string[]> {
  const attempts = await rig.postgres.query<{ outcome: string | null }>(
    "SELECT outcome FROM job_attempts WHERE job_id = $1 AND kind = 'training'",
    [job.id],
  );
  const count = (outcome: string | null) => attempts.filter((attempt) => attempt.outcome === outcome).length;
  const faults: string[] = [];
  if (count(null) > 0) faults.push(`${count(null)} attempts were never closed`);
  if (count('succeeded') !== 1) faults.push(`${count('succeeded')} attempts succeeded`);
  const most = 1 + job.strikes;
  if (row.attempts > most) faults.push(`${row.attempts} attempts charged, expected at most ${most}`);
  return faults;
}
