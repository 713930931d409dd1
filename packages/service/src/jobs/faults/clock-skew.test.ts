/** A process whose clock is off by an hour writes and compares the time of Postgres. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createApiKey } from '../../keys/create-api-key.ts';
import { revokeApiKey } from '../../keys/revoke-api-key.ts';
import { verifyApiKey } from '../../keys/verify-api-key.ts';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { pickWorker, registerWorker, removeDeadWorkers } from '../../workers/worker-registry.ts';
import { leaseOf } from '../job.ts';
import { heartbeatJob } from '../leases/heartbeat-job.ts';
import { dispatchJobs, staleDispatched } from '../transitions/dispatch-jobs.ts';
import { sweepExpiredLeases } from '../transitions/expiry/sweep-expired-leases.ts';
import { failJob } from '../transitions/fail-job.ts';
import { claimValidation } from '../transitions/validate-job.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
after(async () => await services.close());

/** Returns times in any row that are about an hour from now. */
async function strangeTimes(): Promise<string[]> {
  const { rows: columns } = await services.sql.query<{ table: string; column: string }>(
    `SELECT table_name AS table, column_name AS column FROM information_schema.columns
     WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'
       AND table_name NOT IN ('_prisma_migrations', 'installation')`,
  );
  assert.ok(columns.length > 15);
  const strange: string[] = [];
  for (const { table, column } of columns) {
    const { rowCount } = await services.sql.query(
      `SELECT 1 FROM ${table} WHERE abs(extract(epoch FROM now() - ${column})) BETWEEN 1800 AND 7200`,
    );
    if (rowCount) strange.push(`${table}.${column}`);
  }
  return strange;
}

for (const hours of [-1, 1]) {
  test(`${hours} h`, async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + hours * 3_600_000 });
    const { sql } = services;
    const team = await createTestTeam(services);
    await registerWorker(services, { id: 'w', address: 'http://x', hostname: 'x', pid: 1, slots: 9 });
    const running = await createTestJob(services, team, 'running');
    const validating = await createTestJob(services, team, 'validating');
    assert.ok(await claimValidation(services, { workerId: 'v', leaseSeconds: 60, id: validating.id }));
    const failed = await createTestJob(services, team, 'running');
    await failJob(services, leaseOf(failed), { code: 'x', message: 'x', param: null, fault: 'system' });
    await sql.query("UPDATE jobs SET run_after = run_after + interval '10 minutes' WHERE state = 'queued'");
    const queued = await createTestJob(services, team, 'queued');

    // Nothing counts as lost, late, dead or too early.
    assert.deepEqual(await sweepExpiredLeases(services, { leaseSeconds: 0 }), []);
    assert.ok(await heartbeatJob(services, leaseOf(running), { leaseSeconds: 60 }));
    assert.equal(await claimValidation(services, { workerId: 'v2', leaseSeconds: 60 }), null);
    await removeDeadWorkers(services);
    assert.ok(await pickWorker(services, 'x'));
    const dispatched = (await dispatchJobs(services)).map(({ id }) => id);
    assert.deepEqual(dispatched, [queued.id], 'and not the one that is to wait');
    assert.deepEqual(await staleDispatched(services, { seconds: 15 }), []);
    // A lease that has expired by the clock of Postgres counts as expired.
    await sql.query("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = $1", [running.id]);
    assert.equal((await sweepExpiredLeases(services, { leaseSeconds: 0 }))[0]!.id, running.id);

    const { key, keyId } = await createApiKey(services, team.id, { name: 'x', role: 'viewer' });
    assert.ok(await verifyApiKey(services, `Bearer ${key}`));
    await revokeApiKey(services, team.id, keyId);
    assert.deepEqual(await strangeTimes(), []);
    await sql.query('DELETE FROM teams');
  });
}
