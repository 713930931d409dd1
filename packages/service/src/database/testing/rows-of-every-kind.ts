/** Inserts rows of every kind for upgrade tests, bypassing the code, which knows only the newest schema. */
import type pg from 'pg';
import { type JobState, jobStates } from '../../jobs/job.ts';
import { at, hmac, later, type Named, type Own, type Row } from './row-values.ts';
import { whatLeaves } from './rows-that-leave.ts';

/** Inserted rows as Postgres returned them, by table. */
export type InsertedRows = Map<string, Row[]>;

const terminal: JobState[] = ['succeeded', 'failed', 'cancelled'];

/**
 * Inserts a team with every kind of row that a team can have, and rows of the installation, as far as the database has the tables and
 * columns. Ids start with `prefix`.
 */
export async function insertRowsOfEveryKind(sql: pg.Pool, prefix: string): Promise<InsertedRows> {
  const columns = await readColumns(sql);
  const byTable = groupBy(rowsOfEveryKind(prefix), ([table]) => table);
  const inserted: InsertedRows = new Map();
  for (const [table, ofTable] of byTable) {
    const known = columns.get(table);
    if (!known) continue;
    const rows = ofTable.map(([, row]) => Object.entries(row).filter(([name]) => known.has(name)));
    const made: Row[] = [];
    // One statement for rows with the same columns; other columns get their defaults.
    for (const [names, alike] of groupBy(rows, (row) => row.map(([name]) => name).join(', '))) {
      const { rows: returned } = await sql.query<{ row: Row }>(
        `INSERT INTO ${table} AS made (${names}) SELECT ${names} FROM jsonb_populate_recordset(NULL::${table}, $1)
         RETURNING to_jsonb(made) AS row`,
        [JSON.stringify(alike.map((row) => Object.fromEntries(row)))],
      );
      made.push(...returned.map(({ row }) => row));
    }
    inserted.set(table, made);
  }
  return inserted;
}

function groupBy<T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

/** Returns the columns of every table in the schema. */
export async function readColumns(sql: pg.Pool): Promise<Map<string, Set<string>>> {
  const { rows } = await sql.query<{ table: string; columns: string[] }>(
    `SELECT table_name AS table, array_agg(column_name::text) AS columns FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name <> '_prisma_migrations' GROUP BY table_name`,
  );
  return new Map(rows.map(({ table, columns }) => [table, new Set(columns)]));
}

/** Yields the rows in an order that satisfies foreign keys. */
function* rowsOfEveryKind(prefix: string): Generator<[table: string, row: Row]> {
  const id = (name: string) => `${prefix}-${name}`;
  const team_id = id('team');
  const own = { team_id, created_at: at };
  yield ['teams', { id: team_id, name: team_id, created_at: at }];
  yield ['teams', { id: id('gone'), name: id('gone'), created_at: at, deleted_at: later }];
  yield ['people', { id: id('person'), email: `${prefix}@example.com`, name: 'Ann', created_at: at }];
  yield ['memberships', { ...own, person_id: id('person'), role: 'member' }];
  const secret_hmac = hmac(prefix);
  yield ['api_keys', { id: id('own-key'), ...own, name: 'ci', role: 'admin', secret_hmac }];
  const personal = { ...own, name: 'laptop', role: 'member', secret_hmac, person_id: id('person') };
  yield ['api_keys', { id: id('personal-key'), ...personal }];
  yield ['api_keys', { id: id('revoked-key'), ...personal, revoked_at: later, replaced_by: id('own-key') }];
  yield ['operator_keys', { id: `op_${prefix}`, name: 'operator', secret_hmac, created_at: at }];
  yield [
    'invitations',
    { id: id('invitation'), ...own, role: 'viewer', token_hmac: secret_hmac, expires_at: later },
  ];
  yield ['person_identities', { issuer: 'https://login', subject: id('person'), person_id: id('person') }];
  yield ['scim_tokens', { id: `scim_${prefix}`, name: 'directory', secret_hmac, created_at: at }];
  const scimUser = { user_name: id('person'), user_name_key: id('person').toLowerCase(), attributes: {} };
  yield ['scim_users', { person_id: id('person'), ...scimUser }];
  yield ['logout_tokens', { issuer: 'https://login', token_id: id('token'), expires_at: later }];
  const session = { secret_hmac, created_at: at, expires_at: later };
  yield ['sessions', { id: id('of-person'), ...session, person_id: id('person'), chosen_team_id: team_id }];
  yield ['sessions', { id: id('of-key'), ...session, api_key_id: id('personal-key'), ended_at: later }];
  yield ['sessions', { id: id('of-operator'), ...session, operator_key_id: `op_${prefix}` }];
  yield* filesAndUploads(id, own);
  yield* jobs(id, own);
  yield* adapters(id, own);
  yield* installationRows(id, team_id);
  yield* whatLeaves(id, own);
}

function* filesAndUploads(id: Named, own: Own): Generator<[string, Row]> {
  const file = { ...own, filename: 'a.jsonl', purpose: 'fine-tune', bytes: 17, sha256: 'ab'.repeat(32) };
  for (const status of ['uploaded', 'processed', 'error'])
    yield [
      'files',
      { id: id(`file-${status}`), ...file, path: id(`file-${status}`), status, key_id: id('personal-key') },
    ];
  yield ['audit_log', { ...own, key_id: id('own-key'), action: 'file.create', target: id('file-processed') }];
  const upload = {
    ...own,
    filename: 'b.jsonl',
    purpose: 'fine-tune',
    mime_type: 'application/jsonl',
    bytes: 40,
  };
  for (const status of ['pending', 'completed', 'cancelled', 'expired'])
    yield [
      'uploads',
      {
        id: id(`upload-${status}`),
        ...upload,
        remaining_bytes: 40,
        expires_at: later,
        status,
        key_id: id('personal-key'),
        file_id: status === 'completed' ? id('file-processed') : null,
      },
    ];
  const part = { upload_id: id('upload-pending'), bytes: 9, sha256: 'cd'.repeat(32), path: id('part') };
  yield ['upload_parts', { id: id('part'), ...own, ...part }];
  yield [
    'incoming_bytes',
    {
      id: id('incoming'),
      team_id: own.team_id,
      upload_id: id('upload-pending'),
      bytes: 3,
      expires_at: later,
    },
  ];
  const report = { ...own, sha256: 'ab'.repeat(32), status: 'running' };
  yield ['file_reports', { key: id('report'), ...report, holder: 'api', lease_until: later }];
  yield [
    'file_reports',
    { key: id('ready'), ...report, status: 'ready', result: { examples: 1 }, ended_at: later },
  ];
  yield ['validation_results', { ...own, key: id('result'), error: { code: 'bad_data' } }];
}

function* jobs(id: Named, own: Own): Generator<[string, Row]> {
  const { team_id } = own;
  for (const [key_id, by] of [
    [id('personal-key'), 'person'],
    [id('own-key'), 'team'],
    [null, 'nobody'],
  ])
    for (const state of jobStates)
      for (const isSweep of by === 'person' ? [false, true] : [false]) {
        const isOver = terminal.includes(state);
        const job_id = id(`${isSweep ? 'sweep' : 'job'}-of-${by}-${state}`);
        yield [
          'jobs',
          {
            id: job_id,
            ...own,
            key_id,
            state,
            model: 'tiny',
            seed: 7,
            training_file_id: id('file-processed'),
            hyperparameters: {},
            peft: { peft_type: 'LORA' },
            training: {},
            suffix: 'mine',
            metadata: by === 'nobody' ? null : { ticket: '7' },
            lease_epoch: 2,
            lease_token: 'token',
            lease_until: state === 'running' ? later : null,
            attempts: 1,
            trained_tokens: isOver ? 321 : null,
            finished_at: isOver ? later : null,
            error:
              state === 'failed' ? { code: 'bad_data', message: 'Bad.', param: null, fault: 'user' } : null,
            sweep: isSweep ? { grid: { r: [4, 8] }, peft: null } : null,
            start_from_id: id('version-uploaded'),
          },
        ];
        const of = { team_id, job_id };
        if (isSweep)
          for (const trial of [1, 2])
            yield [
              'job_trials',
              { ...of, trial, peft: { r: 4 }, training: {}, status: isOver ? 'won' : 'waiting' },
            ];
        yield [
          'job_events',
          { id: `${job_id}-event`, ...of, level: 'info', type: 'message', message: 'Created' },
        ];
        const measured = { token_accuracy: 0.1, learning_rate: 1e-4, grad_norm: 1.5, memory_bytes: 8e9 };
        yield ['job_metrics', { ...of, kind: 'train', step: 1, loss: 2, metrics: measured }];
        yield ['job_metrics', { ...of, kind: 'evaluation', step: 1, loss: 2, metrics: {} }];
        for (const step of [20, 40])
          yield [
            'checkpoints',
            {
              id: `${job_id}-${step}`,
              ...of,
              step,
              metrics: {},
              path: `checkpoints/${job_id}/step-${step}`,
              bytes: 9,
            },
          ];
        const attempt = { ...of, worker_id: 'w1', started_at: at };
        yield [
          'job_attempts',
          { ...attempt, lease_epoch: 1, kind: 'validation', ended_at: later, outcome: 'succeeded' },
        ];
        yield [
          'job_attempts',
          {
            ...attempt,
            lease_epoch: 2,
            kind: 'training',
            from_step: 0,
            ...(isOver ? { ended_at: later, outcome: state } : {}),
          },
        ];
        const stored = {
          digest: 'ef'.repeat(32),
          artifact: 'ef'.repeat(32),
          bytes: 5,
          files: [],
          lineage: {},
        };
        yield [
          'checkpoint_adapters',
          {
            id: `${job_id}-ckpt`,
            ...of,
            step: 20,
            model_name: `${job_id}:ckpt-step-20`,
            ...stored,
            metrics: {},
          },
        ];
        yield [
          'job_integrations',
          { ...of, type: 'wandb', settings: {}, status: isOver ? 'finished' : 'active' },
        ];
        yield ['idempotency_keys', { ...own, key: job_id, request_hash: 'h', job_id }];
      }
}

function* adapters(id: Named, own: Own): Generator<[string, Row]> {
  yield ['adapters', { id: id('adapter'), ...own, name: 'mine', base_model: 'tiny' }];
  const version = {
    ...own,
    adapter_id: id('adapter'),
    digest: '12'.repeat(32),
    artifact: '12'.repeat(32),
    bytes: 7,
    files: [],
    peft: {},
    lineage: {},
  };
  const versions = [
    { name: 'trained', number: 1, job_id: id('job-of-person-succeeded') },
    { name: 'deleted', number: 2, job_id: id('sweep-of-person-succeeded'), deleted_at: later },
    { name: 'uploaded', number: 3, job_id: null, key_id: id('personal-key') },
    { name: 'uploaded-deleted', number: 4, job_id: null, deleted_at: later },
    { name: 'continued', number: 5, job_id: id('job-of-team-succeeded'), parent_id: id('version-trained') },
  ];
  for (const { name, ...columns } of versions)
    yield [
      'adapter_versions',
      { id: id(`version-${name}`), ...version, model_name: id(`ft-${name}`), ...columns },
    ];
  const made = { ...own, version_id: id('version-trained'), format: 'peft', options: {}, reserved_bytes: 9 };
  const stored = { artifact: '34'.repeat(32), digest: '34'.repeat(32), bytes: 9, files: [] };
  const running = { lease_epoch: 1, lease_token: 'a', lease_until: later, worker_id: 'w1', started_at: at };
  const ended = { finished_at: later, expires_at: later };
  for (const [status, columns] of Object.entries({
    queued: {},
    running,
    succeeded: { ...stored, ...ended },
    failed: { ...ended, error: { code: 'export_failed', message: 'It failed.' } },
    cancelled: ended,
  }))
    yield [
      'adapter_exports',
      { id: id(`export-${status}`), ...made, fingerprint: status, status, ...columns },
    ];
  const published = { ...own, version_id: id('version-trained'), is_public: false };
  const commit = { commit: 'c0'.repeat(20), url: 'https://example.com/c0', changed: 2, bytes: 9 };
  const error = { code: 'hub_refused', message: 'It was refused.', param: 'repository' };
  for (const [status, columns] of Object.entries({
    queued: { export_id: id('export-succeeded'), format: 'peft' },
    running: { lease_token: 'a', lease_until: later, started_at: at, card_text: '# A card' },
    succeeded: { ...commit, finished_at: later },
    failed: { error, finished_at: later },
  }))
    yield [
      'publications',
      { id: id(`publication-${status}`), ...published, repository: `org/${status}`, status, ...columns },
    ];
  yield [
    'audit_log',
    { ...own, key_id: id('own-key'), action: 'adapter.upload', target: id('version-uploaded') },
  ];
  yield [
    'adapter_tags',
    {
      id: id('tag'),
      ...own,
      adapter_id: id('adapter'),
      version_id: id('version-trained'),
      name: 'production',
      model_name: id('ft-production'),
    },
  ];
  yield ['model_aliases', { ...own, name: 'gpt-4o-mini', target: id('ft-production') }];
}

function* installationRows(id: Named, team_id: string): Generator<[string, Row]> {
  yield ['workers', { id: id('worker'), hostname: 'h', pid: 1, slots: 2, heartbeat_at: at }];
  const faults = { consecutive_faults: 3, quarantined_at: at, quarantine_reason: 'no disk' };
  yield ['workers', { id: id('quarantined'), hostname: 'h', pid: 2, slots: 2, heartbeat_at: at, ...faults }];
  yield ['channel_keys', { public_key: `\\x${Buffer.from(id('key')).toString('hex')}` }];
  yield ['loop_turns', { name: id('loop'), holder: 'api', until: at }];
  yield ['base_models', { id: id('base'), digest: 'a1'.repeat(32) }];
  const added = { source: 'hub', location: 'org/model', created_at: at };
  yield ['added_base_models', { id: id('added'), model_id: id('added'), ...added }];
  const fetching = { state: 'fetching', holder: 'w', lease_until: later };
  yield ['added_base_models', { id: id('fetching'), model_id: id('fetching'), ...added, ...fetching }];
  const failed = { state: 'failed', error: { code: 'model_not_found', message: 'None.' } };
  yield [
    'added_base_models',
    { id: id('failed'), model_id: id('failed'), ...added, ...failed, hidden_at: later },
  ];
  yield ['limited_base_models', { model_id: id('added') }];
  yield ['base_model_rules', { model_id: id('added'), team_id, allowed: true }];
  yield ['team_quotas', { team_id, queued_jobs: 5, stored_bytes: 1000 }];
  yield ['team_turns', { team_id, kind: 'training', virtual_time: 1.5 }];
  yield ['rate_counts', { minute: 29_000_000, name: id('key'), count: 3 }];
  yield [
    'usage_prices',
    { id: id('price'), kind: 'trained_tokens', model: id('base'), price: 1, valid_from: at },
  ];
  yield ['team_budgets', { team_id, monthly: 10 }];
  yield ['budget_notices', { team_id, month: '2026-08-01', level: 'warning' }];
}
