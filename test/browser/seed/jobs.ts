import { type Caller, chatLine } from '../../../apps/api/src/testing/open-api-bench.ts';
import type { BrowserBench } from '../browser-bench.ts';

export interface SeededJob {
  status: 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';
  suffix?: string;
  model?: string;
  /** Steps of its metrics: a loss that falls from 3, with ten evaluations. */
  steps?: number;
  /** Total steps, if the job is still running. */
  totalSteps?: number;
  /** As if from an earlier version, whose workers did not report memory. */
  isWithoutMemory?: boolean;
  /** Overrides of the method's options. */
  peft?: object;
  sweep?: object;
  /** Message of a failed job. */
  error?: string;
  /** Id of a team member. */
  owner?: string;
}

/** Steps inserted per statement. */
const batch = 20_000;

/**
 * Inserts jobs directly into the database, as workers would leave them, up to thousands of jobs and hundreds of thousands of steps.
 * Returns their ids, the newest last.
 */
export async function seedJobs(
  { acme, services }: BrowserBench,
  jobs: readonly SeededJob[],
  team: Caller = acme,
): Promise<string[]> {
  const training_file = await team.upload(chatLine);
  const template = await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  const rows = jobs.map(
    (
      { status, suffix = null, model = 'tiny', steps = 0, totalSteps = steps, peft, sweep, owner, ...job },
      i,
    ) => {
      const isOver = ['succeeded', 'failed', 'cancelled'].includes(status);
      const error = {
        code: 'out_of_memory',
        message: job.error ?? 'The trainer ran out of memory.',
        param: null,
        fault: 'system',
      };
      return {
        id: `ftjob-seeded${template.json.id.slice(-8)}${String(i).padStart(5, '0')}`,
        state: status,
        suffix,
        model,
        created_at: new Date(Date.now() - (jobs.length - i) * 60_000).toISOString(),
        finished_at: isOver ? new Date(Date.now() - i * 1000).toISOString() : null,
        started_at: steps > 0 ? new Date(Date.now() - 300_000).toISOString() : null,
        error: status === 'failed' ? error : null,
        trained_tokens: steps > 0 && isOver ? steps * 100 : null,
        progress:
          steps > 0
            ? {
                step: steps,
                totalSteps,
                epoch: 1,
                tokens: steps * 100,
                tokensPerSecond: 812.5,
                secondsRemaining: status === 'running' ? 95 : 0,
                loss: 0.4,
              }
            : null,
        fine_tuned_model:
          status === 'succeeded' ? `ft:tiny:${team.teamName}:${suffix ?? 'seeded'}:${i}` : null,
        person_id: owner ?? null,
        ...(status === 'running' && {
          worker_id: 'worker-seeded',
          lease_epoch: 2,
          lease_until: '2100-01-01T00:00:00Z',
        }),
        ...(peft && { peft: { ...template.json.peft, ...peft } }),
        ...(sweep && { sweep }),
        steps,
        held: job.isWithoutMemory ? null : 1.5e9,
      };
    },
  );
  await services.sql.query(
    `INSERT INTO jobs SELECT (jsonb_populate_record(j, r)).* FROM jobs j, jsonb_array_elements($2::jsonb) r WHERE j.id = $1`,
    [template.json.id, JSON.stringify(rows)],
  );
  // In batches, because statements have a timeout.
  const maxSteps = Math.max(...rows.map(({ steps }) => steps));
  for (let from = 1; from <= maxSteps; from += batch) {
    await services.sql.query(
      `INSERT INTO job_metrics (team_id, job_id, kind, step, epoch, loss, tokens, metrics)
       SELECT $1, r.id, 'train', s, done, 0.4 + 2.6 * exp(-4 * done) + 0.1 * sin(s * 1.7), s * 100,
              jsonb_strip_nulls(jsonb_build_object(
                'token_accuracy', 1 - 0.7 * exp(-3 * done), 'learning_rate', 2e-4 * (1 - done),
                'grad_norm', 1 + 0.3 * cos(s), 'tokens_per_second', 800 + 20 * sin(s),
                'memory_bytes', r.held + 1e8 * done))
       FROM jsonb_to_recordset($2::jsonb) AS r(id text, steps int, held float8), generate_series($3::int, least($4::int, r.steps)) s,
            LATERAL (SELECT s / r.steps::float8 AS done) d
       UNION ALL
       SELECT $1, r.id, 'evaluation', s, done, 0.5 + 2.4 * exp(-4 * done), NULL, '{"token_accuracy": 0.8}'
       FROM jsonb_to_recordset($2::jsonb) AS r(id text, steps int), generate_series($3::int, least($4::int, r.steps)) s,
            LATERAL (SELECT s / r.steps::float8 AS done) d
       WHERE s % greatest(1, r.steps / 10) = 0`,
      [team.teamId, JSON.stringify(rows), from, from + batch - 1],
    );
  }
  // The server's autovacuum does this only after a minute; without it, queries are planned for an empty table.
  await services.sql.query('ANALYZE jobs, job_metrics');
  await services.sql.query('DELETE FROM jobs WHERE id = $1', [template.json.id]);
  return rows.map(({ id }) => id);
}
