import { keepCheckpoint } from '../../../apps/api/src/testing/keep-checkpoint.ts';
import type { Caller } from '../../../apps/api/src/testing/open-api-bench.ts';
import { publishAdapter } from '../../../apps/api/src/testing/publish-adapter.ts';
import { queueJob } from '../../../apps/api/src/testing/queue-job.ts';
import { runJob } from '../../../apps/api/src/testing/run-job.ts';
import type { BrowserBench } from '../browser-bench.ts';
import { seedJobs } from './jobs.ts';
import { ago, digest, inDays, insertsInto, many, name, text } from './rows.ts';

/** Ids for the pages of single resources. */
export interface Seeded {
  fileId: string;
  /** A running job with checkpoints, events and attempts; a sweep; a failed job; a job with an adapter. */
  jobIds: { trains: string; sweep: string; failed: string; succeeded: string };
  adapterId: string;
  /** Two models to compare. */
  models: [string, string];
  webhookId: string;
}

/** A sweep and its number of trials. */
const grid = { learning_rate: [0.001, 0.0001], r: [8, 16], peft_type: ['LORA', 'IA3'] };
const trials = 8;

/** Creates `count` of everything that a team has. */
export async function seedTeam(bench: BrowserBench, team: Caller, count: number): Promise<Seeded> {
  const { add, copy } = insertsInto(bench);
  const { services } = bench;
  const team_id = team.teamId;
  const mark = team.teamName;
  const people = many(count, (n) => ({
    id: `user-${mark}-${n}`,
    email: `${'long'.repeat(n % 60)}${n}@${mark}.example.com`,
    name: text(n),
    disabled_at: n % 9 === 8 ? ago(n) : null,
  }));
  await add('people', people);
  const roles = ['member', 'admin', 'viewer'];
  const roleOf = (n: number) => roles[n % 3]!;
  await add(
    'memberships',
    people.map(({ id }, n) => ({
      team_id,
      person_id: id,
      role: roleOf(n),
      source: n % 4 === 3 ? 'oidc' : 'manual',
      created_at: ago(n),
    })),
  );
  const secret = `\\x${'00'.repeat(32)}`;
  await add(
    'invitations',
    many(count, (n) => ({
      id: `invite-${mark}-${n}`,
      team_id,
      email: n % 3 === 2 ? null : `${'long'.repeat(n % 60)}${n}@example.com`,
      role: roleOf(n),
      token_hmac: secret,
      created_at: ago(n),
      expires_at: inDays(n % 2 === 0 ? 3 : -3),
      accepted_at: n % 4 === 1 ? ago(n) : null,
      revoked_at: n % 4 === 2 ? ago(n) : null,
    })),
  );
  await add(
    'api_keys',
    many(count, (n) => ({
      id: `${mark.slice(0, 4)}${String(n).padStart(6, '0')}`,
      team_id,
      name: text(n),
      role: roleOf(n),
      secret_hmac: secret,
      created_at: ago(n),
      last_used_at: n % 3 === 0 ? null : ago(n),
      person_id: n % 2 === 0 ? null : people[n]!.id,
      revoked_at: n % 5 === 3 ? ago(n) : null,
      scopes: n % 3 === 0 ? ['*'] : ['files:write', 'jobs:write', 'completions:write', 'adapters:read'],
      models: n % 3 === 1 ? [text(n), 'tiny'] : ['*'],
      expires_at: n % 5 === 4 ? inDays(n % 2 === 0 ? 30 : -1) : null,
    })),
  );
  await add(
    'audit_log',
    many(count, (n) => ({
      team_id,
      key_id: `${mark}${n}`,
      person_id: n % 2 === 0 ? people[n]!.id : null,
      action: ['job.create', 'api_key.create', 'adapter.tag.move', 'member.role'][n % 4]!,
      created_at: ago(n),
      target: `ftjob-${text(n)}`,
      detail: n % 3 === 0 ? null : { name: text(n), role: 'admin', list: many(n % 9, text) },
    })),
  );
  await add(
    'uploads',
    many(Math.min(count, 40), (n) => ({
      id: `upload-${mark}-${n}`,
      team_id,
      filename: `${text(n)}.jsonl`,
      purpose: 'fine-tune',
      mime_type: 'application/jsonl',
      bytes: 9e9,
      remaining_bytes: 9e9 - n * 1e8,
      expires_at: inDays(1),
    })),
  );

  const webhook = (n: number) => `whep-${mark}-${n}`;
  const endpoints = Math.min(count, 10);
  await add(
    'webhook_endpoints',
    many(endpoints, (n) => ({
      id: webhook(n),
      team_id,
      url: `https://example.com/${'path/'.repeat(n % 2 === 0 ? 300 : 1)}${n}`,
      description: n % 3 === 2 ? null : text(n),
      created_at: ago(n),
      events: ['fine_tuning.job.succeeded', 'fine_tuning.job.failed', 'fine_tuning.job.cancelled'],
      disabled_at: n % 4 === 3 ? ago(n) : null,
      disabled_reason: n % 4 === 3 ? text(n) : null,
      failing_since: n % 4 === 1 ? ago(n) : null,
    })),
  );
  const deliveryStates = ['delivered', 'failed', 'pending'];
  await add(
    'webhook_deliveries',
    many(count, (n) => ({
      id: `whdel-${mark}-${n}`,
      team_id,
      endpoint_id: webhook(0),
      outbox_id: n,
      event_id: `evt_${text(n)}`,
      type: 'fine_tuning.job.succeeded',
      subject: `ftjob-${text(n)}`,
      event_at: ago(n),
      created_at: ago(n),
      status: deliveryStates[n % 3]!,
      attempts: n,
      expires_at: inDays(1),
      next_attempt_at: inDays(1),
      last_error: n % 3 === 0 ? null : text(n),
      last_status: n % 3 === 0 ? 200 : null,
      last_attempt_at: ago(n),
    })),
  );
  const kinds = ['trained_tokens', 'device_seconds', 'input_tokens', 'output_tokens'];
  await add(
    'usage_ledger',
    many(count, (n) => ({
      team_id,
      at: ago(n % 600),
      kind: kinds[n % 4]!,
      quantity: 1000 * (n + 1),
      subject: `${mark}-${n}`,
      key_id: `${mark}${n % 30}`,
      model: text(n % 40),
      base_model: 'tiny',
      job_id: `ftjob-${mark}-${n % 50}`,
    })),
  );
  await add('team_budgets', [{ team_id, monthly: 1234.5, warn_at: 0.8 }]);

  const { version } = await publishAdapter(bench, team, name(2));
  const other = await publishAdapter(bench, team, name(4));
  const adapter_id = version.adapterId;
  await services.sql.query('UPDATE adapters SET note = $2 WHERE id = $1', [adapter_id, text(0)]);
  const model = (n: number | string) => `ft:tiny:${mark}:${name(2)}:${n}`;
  await copy(
    'adapters',
    adapter_id,
    many(count - 1, (n) => ({
      id: `adapter-${mark}-${n}`,
      name: name(n + 7),
      note: n % 3 === 0 ? null : text(n),
      created_at: ago(n),
    })),
  );
  const versionRow = (n: number, of: string) => ({
    id: `adver-${mark}-${of}-${n}`,
    job_id: null,
    parent_id: null,
    note: n % 3 === 0 ? null : text(n),
    created_at: ago(n),
    artifact: `${digest}-${mark}-${of}-${n}`,
  });
  const versions = many(count - 1, (n) => ({ ...versionRow(n, 'v'), number: n + 2, model_name: model(n) }));
  await copy('adapter_versions', version.id, [
    ...versions,
    ...many(count - 1, (n) => ({
      ...versionRow(n, 'a'),
      adapter_id: `adapter-${mark}-${n}`,
      model_name: model(`a${n}`),
    })),
    ...many(count - 1, (n) => ({
      ...versionRow(n, 'd'),
      adapter_id: `adapter-${mark}-${n}`,
      number: 2,
      model_name: model(`d${n}`),
      deleted_at: ago(1),
    })),
  ]);
  await add(
    'adapter_tags',
    many(Math.min(count, 60), (n) => ({
      id: `tag-${mark}-${n}`,
      team_id,
      adapter_id,
      version_id: versions[n - 20]?.id ?? version.id,
      name: name(n),
      model_name: `ft:tiny:${mark}:${name(2)}:${name(n)}`,
    })),
  );
  const { rows } = await services.sql.query('SELECT id FROM files WHERE team_id = $1 LIMIT 1', [team_id]);
  const fileId = rows[0].id as string;
  await copy(
    'files',
    fileId,
    many(count - 1, (n) => ({
      id: `file-${mark}-${n}`,
      filename: `${text(n)}.jsonl`,
      path: `${mark}/${n}`,
      created_at: ago(n),
      bytes: 10 ** (n % 10),
      examples: n,
    })),
  );

  const states = [
    'running',
    'queued',
    'paused',
    'succeeded',
    'failed',
    'cancelled',
    'succeeded',
    'failed',
  ] as const;
  const ids = await seedJobs(
    bench,
    many(Math.max(count, 5), (n) => ({
      status: states[n % states.length]!,
      suffix: name(n),
      error: text(n),
      owner: people[n]?.id ?? people[0]!.id,
      ...(n % states.length === 1 ? {} : { steps: 12 + (n % 7), totalSteps: 1_234_567 }),
    })),
    team,
  );
  const [sweep, , , , failed] = ids as [string, string, string, string, string];
  await services.sql.query(
    `UPDATE jobs SET sweep = jsonb_build_object('grid', $2::jsonb, 'peft', peft, 'trials', '[]'::jsonb) WHERE id = $1`,
    [sweep, JSON.stringify(count < trials ? { learning_rate: [0.001] } : grid)],
  );
  await services.sql.query(
    `INSERT INTO job_trials (team_id, job_id, trial, peft, training, step, status, rungs)
     SELECT team_id, id, n, peft, '{"learning_rate": 0.0001}', n * 10,
       (ARRAY['waiting', 'running', 'stopped', 'diverged', 'won'])[1 + n % 5], jsonb_build_array(jsonb_build_object('step', 10, 'loss', 1.0 / n))
     FROM jobs, generate_series(1, $2::int) n WHERE id = $1`,
    [sweep, count < trials ? 1 : trials],
  );

  const job = await runJob(bench, await queueJob(bench, team));
  const trains = job.id;
  const kept = await keepCheckpoint(bench, job, 7);
  await copy(
    'checkpoint_adapters',
    kept,
    many(Math.min(count, 100) - 1, (n) => ({
      id: `ftckpt_${mark}${n}`,
      step: 10 * (n + 1),
      is_best: n === 3,
      artifact: `${digest}-${mark}-c-${n}`,
      model_name: `${model('trains')}:ckpt-step-${n}`,
      created_at: ago(n),
    })),
  );
  await add(
    'job_events',
    many(count, (n) => ({
      id: `ftevent-${mark}-${n}`,
      team_id,
      job_id: trains,
      level: ['info', 'warn', 'error'][n % 3]!,
      type: 'message',
      message: text(n),
    })),
  );
  const ends = ['lost', 'released', 'environment', 'paused'];
  await add(
    'job_attempts',
    many(count, (n) => ({
      team_id,
      job_id: trains,
      lease_epoch: 1000 + n,
      kind: 'training',
      worker_id: `worker-${text(n)}`,
      started_at: ago(n + 1),
      ended_at: ago(n),
      from_step: n,
      last_step: n * 1000,
      outcome: ends[n % 4]!,
      reason: n % 2 === 0 ? null : text(n),
    })),
  );
  return {
    fileId,
    adapterId: adapter_id,
    webhookId: webhook(0),
    jobIds: { trains, sweep, failed, succeeded: version.jobId! },
    models: [version.modelName, other.version.modelName],
  };
}
