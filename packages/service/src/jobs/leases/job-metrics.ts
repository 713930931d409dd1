/** The metric series that a running job reports, up to once a second, read by `read-metrics.ts`. Plain SQL, without Prisma for speed. */
import { createHash } from 'node:crypto';
import type { Database, Transaction } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import type { JobProgress, Lease } from '../job.ts';
import { holds } from '../transitions/change-job.ts';

export interface JobMetric {
  kind: 'train' | 'evaluation';
  step: number;
  /** Training epoch, fractional. */
  epoch: number | null;
  loss: number;
  /** Cumulative number of tokens; null for an evaluation. */
  tokens: number | null;
  /** Further metrics by name: `objectives/<name>/objective.ts` and `trainingMetrics` of peft-core describe each. */
  metrics: Record<string, number>;
  /** In a sweep, where `step` counts the steps of all trials: the trial's number, and the step within the trial. */
  trial?: number | null;
  trialStep?: number | null;
}

/** Replaces the running job's progress. False when fenced. */
export async function recordProgress(
  { sql }: Database,
  lease: Lease,
  progress: JobProgress,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    Prisma.sql`UPDATE jobs SET progress = ${JSON.stringify(progress)}::jsonb WHERE ${holds(lease, 'running')}`,
  );
  return rowCount === 1;
}

/** Stores that the job uses its `learning_rate_if_known`: its record then has the rate that is used. False when fenced. */
export async function recordKnownRate({ sql }: Database, lease: Lease): Promise<boolean> {
  const { rowCount } = await sql.query(
    Prisma.sql`UPDATE jobs SET resolved_training =
      resolved_training || jsonb_strip_nulls(jsonb_build_object('learning_rate', resolved_training->'learning_rate_if_known'))
      WHERE ${holds(lease, 'running')}`,
  );
  return rowCount === 1;
}

/**
 * SQL: inserts metrics, given as JSON; overwrites an existing row if it differs. Keeps names in the `metrics` of the old row that the
 * new one lacks, because the series of a checkpoint does not hold all of them.
 */
const upsert = (
  teamId: Prisma.Sql | string,
  jobId: Prisma.Sql | string,
  metrics: readonly JobMetric[],
  from = Prisma.empty,
): Prisma.Sql => Prisma.sql`
  INSERT INTO job_metrics AS old (team_id, job_id, kind, step, epoch, loss, tokens, metrics, trial, trial_step)
  SELECT ${teamId}, ${jobId}, m.kind, m.step, m.epoch, m.loss, m.tokens, jsonb_strip_nulls(m.metrics), m.trial, m."trialStep"
  FROM ${from} jsonb_to_recordset(${JSON.stringify(metrics)}::jsonb) AS m(kind text, step int, epoch float8, loss float8,
    tokens bigint, metrics jsonb, trial int, "trialStep" int)
  ON CONFLICT (team_id, job_id, kind, step) DO UPDATE SET
    epoch = excluded.epoch, loss = excluded.loss, tokens = excluded.tokens, metrics = old.metrics || excluded.metrics,
    created_at = excluded.created_at
  WHERE (old.epoch, old.loss, old.tokens, old.metrics)
    IS DISTINCT FROM (excluded.epoch, excluded.loss, excluded.tokens, old.metrics || excluded.metrics)`;

/**
 * Adds the metrics of some steps of a running job; overwrites a step that a lost attempt wrote before.
 * False when fenced.
 */
export async function recordMetrics({ sql }: Database, lease: Lease, metrics: JobMetric[]): Promise<boolean> {
  const { rows } = await sql.query<{ held: boolean }>(
    Prisma.sql`WITH lease AS (SELECT team_id, id FROM jobs WHERE ${holds(lease, 'running')} FOR SHARE),
       written AS (${upsert(Prisma.sql`lease.team_id`, Prisma.sql`lease.id`, metrics, Prisma.sql`lease,`)})
     SELECT EXISTS (SELECT 1 FROM lease) AS held`,
  );
  return rows[0]?.held ?? false;
}

/** Like `recordMetrics`, within a transaction that holds the lease. */
export async function upsertMetrics(
  tx: Transaction,
  job: { id: string; teamId: string },
  metrics: readonly JobMetric[],
): Promise<void> {
  if (metrics.length === 0) return;
  await tx.$executeRaw(upsert(job.teamId, job.id, metrics));
}

/** Rows per statement: some megabytes as JSON. */
export const rowsAtOnce = 10_000;

/**
 * Returns the metrics of a series up to step `upTo` that the job's rows lack. Compares digests of blocks of `rowsAtOnce` steps,
 * so that a series of 300,000 steps that is stored already costs one second.
 */
export async function lackingMetrics(
  { sql }: Database,
  jobId: string,
  upTo: number,
  series: Iterable<JobMetric>,
): Promise<JobMetric[]> {
  const stretches = new Map<string, JobMetric[]>();
  const names = new Set<string>();
  for (const metric of series) {
    for (const name in metric.metrics) names.add(name);
    const stretch = `${metric.kind} ${Math.floor((metric.step - 1) / rowsAtOnce)}`;
    const held = stretches.get(stretch);
    if (held) held.push(metric);
    else stretches.set(stretch, [metric]);
  }
  const numbers = ['step', 'epoch', 'loss', 'tokens', ...[...names].map((_, i) => `(metrics ->> $${i + 3})`)];
  const bytes = numbers.map((number) => `float8send(coalesce(${number}::float8, 'NaN'))`);
  const { rows } = await sql.query<{ stretch: string; digest: string }>(
    `SELECT kind || ' ' || (step - 1) / ${rowsAtOnce} AS stretch,
            md5(string_agg(${bytes.join(' || ')}, ''::bytea ORDER BY step)) AS digest
     FROM job_metrics WHERE team_id = (SELECT team_id FROM jobs WHERE id = $1) AND job_id = $1 AND step <= $2
     GROUP BY 1, kind, (step - 1) / ${rowsAtOnce}`,
    [jobId, upTo, ...names],
  );
  const present = new Map(rows.map(({ stretch, digest }) => [stretch, digest]));
  return [...stretches].flatMap(([stretch, metrics]) =>
    present.get(stretch) === digestOf(metrics, names) ? [] : metrics,
  );
}

/** Computes the digest of `lackingMetrics` as Postgres does. */
function digestOf(rows: readonly JobMetric[], names: ReadonlySet<string>): string {
  const bytes = Buffer.alloc(rows.length * 8 * (4 + names.size));
  let at = 0;
  const add = (value: number | null | undefined) => {
    at = bytes.writeDoubleBE(value ?? Number.NaN, at);
  };
  for (const { step, epoch, loss, tokens, metrics } of rows) {
    for (const value of [step, epoch, loss, tokens]) add(value);
    for (const name of names) add(metrics[name]);
  }
  return createHash('md5').update(bytes).digest('hex');
}
