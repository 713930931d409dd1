import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createJob } from '../jobs/transitions/create-job.ts';
import { cancelJob } from '../jobs/transitions/user-requests.ts';
import { verifyApiKey } from '../keys/verify-api-key.ts';
import { acceptInvitation, createInvitation } from '../people/invitations.ts';
import type { Services } from '../services.ts';
import { createTestJob, createTestTeam, newTestJob } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { deleteTeam, purgeDeletedTeams } from './delete-team.ts';
import { createTeam, findTeam, readTeams, updateTeam } from './team-records.ts';

let services: Services;
before(async () => {
  services = await openTestServices({ role: 'admin' });
});
after(async () => await services.close());

const by = { keyId: 'key-test' };

/** Counts a team's rows in every table except the audit log and the ledger. */
async function rowsOf(teamId: string): Promise<Record<string, number>> {
  const { rows: tables } = await services.sql.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name = 'team_id' AND table_name NOT IN ('audit_log', 'outbox', 'usage_ledger')`,
  );
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const { rows } = await services.sql.query(`SELECT count(*)::int AS n FROM ${name} WHERE team_id = $1`, [
      teamId,
    ]);
    if (rows[0].n > 0) counts[name] = rows[0].n;
  }
  return counts;
}

test('a team is deleted by its name, at once for everybody, and row by row afterwards', async () => {
  const team = await createTestTeam(services);
  const { job } = await createJob(services, team.id, newTestJob(team));
  await createTestJob(services, team, 'succeeded');
  await services.sql.query(
    `INSERT INTO job_metrics (team_id, job_id, kind, step, loss)
     SELECT $1, $2, 'train', n, 1 FROM generate_series(1, 12000) n`,
    [team.id, job.id],
  );
  const { token } = await createInvitation(services, team.id, { email: 'x@y.de', role: 'admin' }, null);
  await assert.rejects(deleteTeam(services, team.id, 'another', by), { code: 'wrong_team_name' });
  await assert.rejects(deleteTeam(services, team.id, team.name, by), {
    code: 'team_has_jobs',
    message: /^A job of the team has not ended/,
  });
  assert.ok(await verifyApiKey(services, `Bearer ${team.key}`));
  await cancelJob(services, team.id, job.id, by);
  assert.equal(await deleteTeam(services, 'team-none', team.name, by), false);
  assert.equal(await deleteTeam(services, team.id, team.name, by), true);

  assert.equal(await verifyApiKey(services, `Bearer ${team.key}`), null);
  await assert.rejects(acceptInvitation(services, token, {}), { code: 'invalid_invitation' });
  assert.equal(await deleteTeam(services, team.id, team.name, by), false);
  assert.equal(await findTeam(services, team.name), null);
  assert.equal(await findTeam(services, team.id), null);
  assert.equal(await updateTeam(services, team.id, { runningLimit: 1 }), null);
  const { data } = await readTeams(services, { limit: 100 });
  assert.ok(!data.some(({ id }) => id === team.id));
  const again = await createTeam(services, { name: team.name });
  assert.notEqual(again.id, team.id);

  assert.ok((await rowsOf(team.id)).job_metrics === 12_000);
  assert.equal(await purgeDeletedTeams(services), 1);
  assert.deepEqual(await rowsOf(team.id), {});
  const stored = await services.db.usageEntry.aggregate({
    where: { teamId: team.id, kind: 'stored_bytes' },
    _sum: { quantity: true },
    _count: true,
  });
  assert.deepEqual([Number(stored._sum.quantity), stored._count], [0, 4]);
  assert.equal(await services.db.team.count({ where: { id: team.id } }), 0);
  assert.equal(await services.db.team.count({ where: { id: again.id } }), 1);
  const audit = await services.db.auditEntry.findMany({ where: { teamId: team.id }, orderBy: { id: 'asc' } });
  assert.deepEqual(audit.find(({ action }) => action === 'team.delete')?.detail, { name: team.name });
});

test('of a job that is made at that moment one of the two is refused, or the job goes with the team', async () => {
  for (let i = 0; i < 10; i++) {
    const team = await createTestTeam(services);
    const [made, deleted] = await Promise.allSettled([
      sleep(i).then(() => createJob(services, team.id, newTestJob(team))),
      deleteTeam(services, team.id, team.name, by),
    ]);
    if (deleted.status === 'rejected') {
      assert.equal(deleted.reason.code, 'team_has_jobs');
      assert.equal(made.status, 'fulfilled');
    } else {
      await purgeDeletedTeams(services);
      assert.deepEqual(await rowsOf(team.id), {});
    }
  }
});

test('teams are listed by the page, newest first', async () => {
  const [older, newer] = [await createTestTeam(services), await createTestTeam(services)];
  const page = await readTeams(services, { limit: 1 });
  assert.deepEqual([page.data[0]!.id, page.hasMore], [newer.id, true]);
  const next = await readTeams(services, { limit: 1, after: newer.id });
  assert.equal(next.data[0]!.id, older.id);
  await assert.rejects(readTeams(services, { limit: 1, after: 'team-none' }), { code: 'invalid_cursor' });
});

test('a team with many deliveries, or whose rows cannot be deleted, delays no other', async () => {
  const deleted = async () => {
    const team = await createTestTeam(services);
    await deleteTeam(services, team.id, team.name, by);
    return team.id;
  };
  const [locked, many, last] = [await deleted(), await deleted(), await deleted()];
  await services.sql.query(
    `WITH endpoint AS (
       INSERT INTO webhook_endpoints (id, team_id, url, events) VALUES ('webhook-many', $1, 'https://many.example', '{}') RETURNING id
     )
     INSERT INTO webhook_deliveries (team_id, endpoint_id, outbox_id, event_id, type, subject, event_at, expires_at)
     SELECT $1, id, n, 'evt_' || n, 'x', 'x', now(), now() FROM endpoint, generate_series(1, 12000) n`,
    [many],
  );
  await services.sql.query(`
    CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF (SELECT count(*) FROM old_rows) > 5000 THEN RAISE 'one statement deletes too much'; END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER refuse_many AFTER DELETE ON webhook_deliveries REFERENCING OLD TABLE AS old_rows
      FOR EACH STATEMENT EXECUTE FUNCTION refuse_many();
    CREATE FUNCTION refuse_team() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF OLD.id = '${locked}' THEN RAISE 'this team stays'; END IF;
      RETURN OLD;
    END $$;
    CREATE TRIGGER refuse_team BEFORE DELETE ON teams FOR EACH ROW EXECUTE FUNCTION refuse_team()`);
  await assert.rejects(purgeDeletedTeams(services), /this team stays/);
  const left = await services.db.team.findMany({
    where: { id: { in: [locked, many, last] } },
    select: { id: true },
  });
  assert.deepEqual(left, [{ id: locked }]);
  await services.sql.query('DROP TRIGGER refuse_team ON teams');
  assert.equal(await purgeDeletedTeams(services), 1);
});
