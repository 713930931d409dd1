import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Rig, Team } from './rig.ts';
import { baseModel, type Variant } from './workload.ts';

/** A job that the API has accepted with 201. */
export interface AcceptedJob {
  id: string;
  key: string;
  variant: Variant;
  team: Team;
  /** Faults that hit the job and may cost it an attempt. */
  strikes: number;
}

/** The columns of a job that the harness reads. */
export interface JobRow {
  id: string;
  state: string;
  lease_epoch: number;
  attempts: number;
  attempts_since_checkpoint: number;
  worker_id: string | null;
  step: number;
  error: { code: string; message: string; fault: string } | null;
  finished_at: Date | null;
  /** Seconds until it may run again. */
  waits: number;
}

const terminal = ['succeeded', 'failed', 'cancelled'];

export const isOver = (row: JobRow): boolean => terminal.includes(row.state);

type FileIds = { training: string; validation: string };
const fileIds = new WeakMap<Team, Map<Variant['data'], FileIds>>();

/** Uploads each kind of data of the workload once for each team. */
async function filesOf(rig: Rig, team: Team, kind: Variant['data']): Promise<FileIds> {
  const all = fileIds.get(team) ?? new Map<Variant['data'], FileIds>();
  fileIds.set(team, all);
  const known = all.get(kind);
  if (known) return known;
  const upload = async (file: string) => (await team.client.files.upload({ file })).id;
  const { training, validation } = rig.files.data[kind];
  const ids = { training: await upload(training), validation: await upload(validation) };
  all.set(kind, ids);
  return ids;
}

/** Answers that no fault excuses: neither success, nor 4xx, nor 503 with Retry-After. */
export interface BadAnswer {
  request: string;
  status: number;
  body: string;
}

export interface CreateOptions {
  team?: Team;
  onBadAnswer?: (answer: BadAnswer) => void;
}

/**
 * Creates a job as a careful client does: with one Idempotency-Key, retried until there is an answer. Every job carries its key as
 * metadata, so that a duplicate shows.
 */
export async function createJob(
  rig: Rig,
  variant: Variant,
  options: CreateOptions = {},
): Promise<AcceptedJob> {
  const team = options.team ?? rig.team;
  const key = randomUUID();
  const files = await filesOf(rig, team, variant.data);
  const body = JSON.stringify({
    model: variant.model ?? baseModel,
    training_file: files.training,
    ...(variant.evaluated && { validation_file: files.validation }),
    seed: 11,
    metadata: { chaos: key },
    ...(variant.method && { method: variant.method }),
    hyperparameters: variant.hyperparameters,
    peft: variant.peft,
    training: variant.training,
  });
  for (const deadline = performance.now() + 180_000; performance.now() < deadline; await sleep(200)) {
    const answer = await request(rig, team, 'POST', '/fine_tuning/jobs', body, { 'idempotency-key': key });
    if (answer === null) continue;
    if (answer.status === 200 || answer.status === 201) {
      return { id: (JSON.parse(answer.body) as { id: string }).id, key, variant, team, strikes: 0 };
    }
    if (answer.status === 503 || answer.status === 409) continue;
    const bad = { request: 'POST /fine_tuning/jobs', status: answer.status, body: answer.body };
    options.onBadAnswer?.(bad);
    if (answer.status < 500) throw new Error(`a job was refused: ${answer.status} ${answer.body}`);
  }
  throw new Error('no job could be created within three minutes');
}

/** One request without retries. Null: the connection broke or timed out. */
export async function request(
  rig: Rig,
  team: Team,
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string; headers: Headers } | null> {
  try {
    const response = await fetch(`${rig.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${team.key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(20_000),
    });
    return { status: response.status, body: await response.text(), headers: response.headers };
  } catch {
    return null;
  }
}

/** The rows of jobs, by id. */
export async function readJobs(rig: Rig, jobs: readonly { id: string }[]): Promise<Map<string, JobRow>> {
  const rows = await rig.postgres.query<JobRow>(
    `SELECT id, state, lease_epoch, attempts, attempts_since_checkpoint, worker_id, error, finished_at,
            greatest(0, extract(epoch FROM run_after - now()))::float AS waits,
            coalesce((progress->>'step')::int, 0) AS step
     FROM jobs WHERE id = ANY ($1)`,
    [jobs.map(({ id }) => id)],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** Resolves when `holds` does for the job's row; throws after `seconds`. */
export async function untilJob(
  rig: Rig,
  job: AcceptedJob,
  holds: (row: JobRow) => boolean,
  seconds = 240,
): Promise<JobRow> {
  for (const deadline = performance.now() + 1000 * seconds; ; await sleep(50)) {
    const row = (await readJobs(rig, [job])).get(job.id);
    if (row && holds(row)) return row;
    if (performance.now() > deadline) {
      throw new Error(`${job.id} is ${row?.state} at step ${row?.step} after ${seconds} s`);
    }
  }
}
