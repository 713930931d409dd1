/** Faults of Graft's own Postgres appear to every caller as an outage, and do not count against jobs. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { loadServiceEnv } from '../environment/env.ts';
import { leaseOf } from '../jobs/job.ts';
import { heartbeatJob } from '../jobs/leases/heartbeat-job.ts';
import { getJob } from '../jobs/records/read-jobs.ts';
import { createLogger } from '../logger.ts';
import { startJobLoops } from '../maintenance/job-loops.ts';
import { repeat } from '../repeat.ts';
import { openServices, type Services } from '../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { type PrivatePostgres, startPrivatePostgres } from '../testing/private-postgres.ts';
import { connectDatabase, type Database } from './database.ts';
import { isDatabaseAway } from './database-away.ts';
import { inTransaction } from './in-transaction.ts';

const leaseSeconds = 2;
let postgres: PrivatePostgres;
let services: Services;
let dataDir: string;
let team: TestTeam;
before(async () => {
  postgres = await startPrivatePostgres();
  dataDir = await mkdtemp(path.join(tmpdir(), 'graft-faulty-'));
  services = await openServices({
    role: 'admin',
    env: loadServiceEnv({
      DATABASE_URL: postgres.url,
      GRAFT_DATA_DIR: dataDir,
      GRAFT_LEASE_SECONDS: String(leaseSeconds),
      GRAFT_HEARTBEAT_SECONDS: '0.5',
      GRAFT_SWEEP_SECONDS: '0.5',
    }),
    log: createLogger({ level: 'silent', name: 'test' }),
  });
  team = await createTestTeam(services);
});
after(async () => {
  await services.close();
  await postgres.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** The ways in which Graft writes. */
const writes = {
  statement: ({ sql }: Database) => sql.query("UPDATE teams SET name = name || ''"),
  raw: ({ db }: Database) => db.$executeRaw`UPDATE teams SET name = name || ''`,
  typed: ({ db }: Database) => db.team.updateMany({ data: { runningLimit: 8 } }),
  transaction: (db: Database) =>
    inTransaction(db, async (tx) => {
      await tx.$executeRaw`SELECT pg_sleep(0.05)`;
      return await tx.team.updateMany({ data: { runningLimit: 8 } });
    }),
};

async function assertAway(db: Database): Promise<void> {
  for (const [name, write] of Object.entries(writes)) {
    await assert.rejects(Promise.resolve(write(db)), isDatabaseAway, name);
  }
}

async function assertWell(db: Database): Promise<void> {
  const end = performance.now() + 20_000;
  for (const write of Object.values(writes)) {
    for (;;) {
      try {
        await write(db);
        break;
      } catch (error) {
        assert.ok(isDatabaseAway(error) && performance.now() < end, String(error));
        await sleep(50);
      }
    }
  }
}

/** Asserts that concurrent writers only see outage errors during `fault`, and succeed again after it. */
async function assertOutage(fault: () => Promise<void>): Promise<void> {
  let running = true;
  let refused = 0;
  const writers = Object.values(writes).map(async (write) => {
    while (running) {
      try {
        await write(services);
      } catch (error) {
        assert.ok(isDatabaseAway(error), String(error));
        refused += 1;
      }
      await sleep(10);
    }
  });
  await sleep(100);
  try {
    await fault();
    await assertWell(services);
  } finally {
    running = false;
  }
  await Promise.all(writers);
  assert.ok(refused > 0, 'somebody met the fault');
}

test('restarted, fast and as by a crash', async () => {
  for (const how of ['fast', 'immediate'] as const) {
    await assertOutage(async () => {
      await postgres.stop(how);
      await assertAway(services);
      await postgres.start();
    });
  }
});

test('backends killed', async () => {
  await assertOutage(async () => {
    const killer = new pg.Client(postgres.url);
    await killer.connect();
    for (let i = 0; i < 5; i++) {
      await killer.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'graft' AND state <> 'idle'",
      );
      await sleep(30);
    }
    await killer.end();
  });
});

test('read-only: reads go on, writes are an outage', async () => {
  const admin = new pg.Client(postgres.url);
  await admin.connect();
  await admin.query('SET default_transaction_read_only = off');
  const set = async (value: 'on' | 'off') => {
    await admin.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
    await admin.query('SELECT pg_reload_conf()');
    const shown = async () => (await services.sql.query('SHOW default_transaction_read_only')).rows[0];
    while ((await shown()).default_transaction_read_only !== value) await sleep(20);
  };
  await set('on');
  try {
    await assertAway(services);
    assert.equal((await services.db.team.findMany()).length, 1);
  } finally {
    await set('off');
    await admin.end();
  }
  await assertWell(services);
});

test('without a connection to spare', async () => {
  const all: pg.Client[] = [];
  for (;;) {
    const client = new pg.Client(postgres.url);
    client.on('error', () => {});
    const isIn = await client.connect().then(
      () => true,
      () => false,
    );
    if (!isIn) break;
    all.push(client);
  }
  const late = connectDatabase(postgres.url, services.log, { defaultScope: 'system' });
  try {
    await assertAway(late);
  } finally {
    await Promise.all(all.map((client) => client.end()));
  }
  await assertWell(late);
  await late.sql.end();
});

test('a backend that is frozen costs its query alone', async () => {
  const hasty = connectDatabase(postgres.url, services.log, { queryMs: 300, defaultScope: 'system' });
  const { rows } = await hasty.sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  process.kill(rows[0]!.pid, 'SIGSTOP');
  try {
    await assert.rejects(hasty.sql.query('SELECT 1'), isDatabaseAway);
    await assertWell(hasty);
  } finally {
    process.kill(rows[0]!.pid, 'SIGCONT');
  }
  await hasty.sql.end();
});

test('an outage longer than a lease charges no attempt', async () => {
  const job = await createTestJob(services, team, 'running');
  await heartbeatJob(services, leaseOf(job), { leaseSeconds });
  let fenced = false;
  const heartbeat = repeat(
    'heartbeat',
    300,
    async () => {
      if (!(await heartbeatJob(services, leaseOf(job), { leaseSeconds }))) fenced = true;
    },
    services.log,
  );
  const loops = startJobLoops(services);
  try {
    await sleep(1000);
    await postgres.stop('immediate');
    await sleep((leaseSeconds + 1) * 1000);
    await postgres.start();
    // Wait beyond the grace period.
    await sleep((leaseSeconds + 2) * 1000);
    const after = (await getJob(services, team.id, job.id))!;
    assert.deepEqual([after.state, after.attempts, after.leaseEpoch], ['running', 1, job.leaseEpoch]);
    assert.ok(!fenced);
  } finally {
    await heartbeat.stop();
    await loops.close();
  }
});
