/** Reads a job's metric series, which may have a million steps, page by page or downsampled. Plain SQL, without Prisma for speed. */
import type { Database } from '../../database/database.ts';
import type { JobMetric } from '../leases/job-metrics.ts';

export type StoredMetric = JobMetric & { createdAt: Date };

/** One point for a range of steps: the metrics of its last step, statistics of its losses, and the maximum memory. */
export interface MetricStretch extends StoredMetric {
  stretch: {
    firstStep: number;
    lastStep: number;
    count: number;
    lossMin: number;
    lossMax: number;
    lossMean: number;
    /** Null if none of its metrics has a memory value. */
    memoryBytesMax: number | null;
  };
}

/** SQL: a row of `job_metrics` `m` as a StoredMetric. */
export const metricColumns = `m.kind, m.step, m.epoch, m.loss, m.tokens::float8 AS tokens, m.metrics, m.trial,
  m.trial_step AS "trialStep", m.created_at AS "createdAt"`;

/**
 * Returns the metrics of the next `limit` steps after `afterStep`, ascending. A step may have two metrics, of training and of
 * evaluation, which are always on the same page.
 */
export async function readMetrics(
  { sql }: Database,
  teamId: string,
  jobId: string,
  { afterStep = -1, limit }: { afterStep?: number | undefined; limit: number },
): Promise<{ data: StoredMetric[]; hasMore: boolean }> {
  const { rows } = await sql.query<StoredMetric>(
    // Read separately, each kind follows the order of the primary key, and no further than the page.
    `SELECT ${metricColumns}
     FROM unnest(ARRAY['evaluation', 'train']) AS kinds(kind)
     CROSS JOIN LATERAL (
       SELECT * FROM job_metrics
       WHERE team_id = $1 AND job_id = $2 AND kind = kinds.kind AND step > $3 ORDER BY step LIMIT $4
     ) m
     ORDER BY m.step, m.kind`,
    [teamId, jobId, afterStep, limit + 1],
  );
  let steps = 0;
  for (const [i, { step }] of rows.entries()) {
    if (step === rows[i - 1]?.step) continue;
    if (steps === limit) return { data: rows.slice(0, i), hasMore: true };
    steps++;
  }
  return { data: rows, hasMore: false };
}

/**
 * Downsamples the series after `afterStep`, up to `untilStep`, to at most `resolution` ranges of equal width per kind of metric,
 * ascending. In a sweep, a range also ends where another trial starts. Postgres aggregates, so that a million steps return no more
 * data than a thousand.
 */
export async function readMetricStretches(
  { sql }: Database,
  teamId: string,
  jobId: string,
  {
    afterStep = -1,
    untilStep = 2 ** 31 - 1,
    resolution,
  }: { afterStep?: number | undefined; untilStep?: number | undefined; resolution: number },
): Promise<MetricStretch[]> {
  const { rows } = await sql.query<StoredMetric & MetricStretch['stretch']>(
    `WITH series AS (
       SELECT kind, step, loss, metrics ->> 'memory_bytes' AS memory, trial FROM job_metrics WHERE team_id = $1 AND job_id = $2 AND step > $3 AND step <= $5
     ), range AS (
       SELECT min(step)::bigint AS low, (max(step)::bigint - min(step)) / $4 + 1 AS width FROM series
     ), stretches AS (
       SELECT kind, min(step) AS "firstStep", max(step) AS "lastStep", count(*)::int AS count,
              min(loss) AS "lossMin", max(loss) AS "lossMax", avg(loss) AS "lossMean",
              max(memory::float8) AS "memoryBytesMax"
       FROM series, range GROUP BY kind, trial, (step - low) / width
     )
     SELECT ${metricColumns}, s."firstStep", s."lastStep", s.count, s."lossMin", s."lossMax", s."lossMean",
            s."memoryBytesMax"
     FROM stretches s
     JOIN job_metrics m ON m.team_id = $1 AND m.job_id = $2 AND m.kind = s.kind AND m.step = s."lastStep"
     ORDER BY m.step, m.kind`,
    [teamId, jobId, afterStep, resolution, untilStep],
  );
  return rows.map(
    ({ firstStep, lastStep, count, lossMin, lossMax, lossMean, memoryBytesMax, ...metric }) => ({
      ...metric,
      stretch: { firstStep, lastStep, count, lossMin, lossMax, lossMean, memoryBytesMax },
    }),
  );
}

/**
 * Returns for each job its training losses at about `points` steps spread evenly over its series, ascending: enough for a small
 * chart, by that many look-ups in the primary key, independent of the length of the series.
 */
export async function sampleLosses(
  { sql }: Database,
  teamId: string,
  jobIds: string[],
  points: number,
): Promise<Map<string, { step: number; loss: number }[]>> {
  const { rows } = await sql.query<{ jobId: string; step: number; loss: number }>(
    `SELECT DISTINCT j.id AS "jobId", m.step, m.loss
     FROM unnest($2::text[]) AS j(id)
     CROSS JOIN LATERAL (
       SELECT (SELECT step FROM job_metrics WHERE team_id = $1 AND job_id = j.id AND kind = 'train' ORDER BY step LIMIT 1) AS low,
              (SELECT step FROM job_metrics WHERE team_id = $1 AND job_id = j.id AND kind = 'train' ORDER BY step DESC LIMIT 1) AS high
     ) ends
     CROSS JOIN LATERAL generate_series(0, $3::int - 1) AS place
     CROSS JOIN LATERAL (
       SELECT step, loss FROM job_metrics
       WHERE team_id = $1 AND job_id = j.id AND kind = 'train'
         AND step >= low + (high - low)::bigint * place / greatest($3::int - 1, 1)
       ORDER BY step LIMIT 1
     ) m
     ORDER BY "jobId", m.step`,
    [teamId, jobIds, points],
  );
  const samples = new Map<string, { step: number; loss: number }[]>();
  for (const { jobId, step, loss } of rows) {
    const of = samples.get(jobId);
    if (of) of.push({ step, loss });
    else samples.set(jobId, [{ step, loss }]);
  }
  return samples;
}
