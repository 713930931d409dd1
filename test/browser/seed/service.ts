import { queueJob } from '../../../apps/api/src/testing/queue-job.ts';
import type { BrowserBench } from '../browser-bench.ts';
import { ago, digest, inDays, insertsInto, many, text } from './rows.ts';

/** Data for the operator's pages: workers, base models, and teams with jobs. */
export async function seedService(bench: BrowserBench, count: number): Promise<void> {
  const { add, copy } = insertsInto(bench);
  await add(
    'workers',
    many(count, (n) => ({
      // The first holds the jobs that were seeded as running.
      id: n === 0 ? 'worker-seeded' : `worker-many-${n}`,
      hostname: text(n),
      pid: 1,
      slots: 1 + (n % 8),
      bases: many(n % 5, text),
      load: n % 4,
      version: n % 5 === 4 ? null : text(n),
      heartbeat_at: ago(n % 6 === 5 ? 1 : 0),
      consecutive_faults: n % 4,
      draining: n % 11 === 10,
      quarantined_at: n % 3 === 2 ? ago(n) : null,
      quarantine_reason: n % 3 === 2 ? text(n) : null,
      capabilities:
        n % 4 === 3
          ? null
          : {
              device: 'gpu',
              threads: 128,
              precisions: ['bf16'],
              memoryBytes: 80e9,
              flops: { fp32: 6.123e13 },
            },
    })),
  );
  const states = ['ready', 'failed', 'queued', 'fetching'];
  await add(
    'added_base_models',
    many(count, (n) => ({
      id: `base-${n}`,
      model_id: `org/${'base-model.'.repeat(n % 8)}${n}`,
      source: 'folder',
      location: `/models/${text(n)}`,
      state: states[n % 4]!,
      bytes_done: n * 1e9,
      bytes_total: n % 3 === 0 ? null : 2000e9,
      created_at: ago(n),
      error: n % 4 === 1 || n % 8 === 2 ? { code: 'fetch_failed', message: text(n) } : null,
      files: n % 4 === 0 ? [] : null,
      digest: n % 4 === 0 ? digest : null,
      model_type: 'llama',
      holder: n % 4 === 3 ? 'worker-seeded' : null,
      lease_until: n % 4 === 3 ? inDays(1) : null,
      hidden_at: n % 16 === 12 ? ago(n) : null,
      finished_at: n % 4 < 2 ? ago(n) : null,
      not_before: inDays(30),
    })),
  );
  const teams = many(count, (n) => ({
    id: `team-many-${n}`,
    name: `${'team-'.repeat(n % 7)}${n}`,
    weight: 1 + (n % 1000),
    created_at: ago(n),
  }));
  await add('teams', teams);
  const template = await queueJob(bench, bench.other);
  const { rows } = await bench.services.sql.query('SELECT training_file_id FROM jobs WHERE id = $1', [
    template,
  ]);
  await copy(
    'files',
    rows[0].training_file_id,
    teams.map(({ id }) => ({ id: `file-${id}`, team_id: id, path: `many/${id}` })),
  );
  await copy(
    'jobs',
    template,
    teams.map(({ id }, n) => ({
      id: `ftjob-${id}`,
      team_id: id,
      training_file_id: `file-${id}`,
      key_id: null,
      state: n % 5 === 4 ? 'paused' : 'queued',
      created_at: ago(n),
    })),
  );
  await bench.services.sql.query('DELETE FROM jobs WHERE id = $1', [template]);
}
