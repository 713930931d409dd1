/** The constraints and triggers of the migrations: the last line of defence behind the guarded updates. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services.close());

describe('the database itself', () => {
  for (const state of ['succeeded', 'failed', 'cancelled'] as const) {
    test(`raises on any change of a job that has ${state}`, async () => {
      const job = await createTestJob(services, team, state);
      for (const change of ["state = 'queued'", 'lease_epoch = lease_epoch + 1', "error = '{}'"]) {
        await assert.rejects(services.sql.query(`UPDATE jobs SET ${change} WHERE id = $1`, [job.id]), {
          code: 'GJ001',
        });
      }
      // An update that changes nothing is not a transition.
      await services.sql.query('UPDATE jobs SET state = state WHERE id = $1', [job.id]);
    });
  }

  test('raises when a lease epoch falls, and refuses unknown states and a running job without a lease', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    const set = (change: string) => services.sql.query(`UPDATE jobs SET ${change} WHERE id = $1`, [job.id]);
    await assert.rejects(set('lease_epoch = 0'), { code: 'GJ002' });
    await assert.rejects(set("state = 'nonsense'"), { constraint: 'jobs_state_check' });
    await assert.rejects(set("state = 'running'"), { constraint: 'jobs_running_lease_check' });
  });

  test('lets no row point into another team', async () => {
    const other = await createTestTeam(services);
    const job = await createTestJob(services, team, 'running');
    const insert = services.sql.query(
      "INSERT INTO job_metrics (team_id, job_id, kind, step, loss) VALUES ($1, $2, 'train', 1, 1)",
      [other.id, job.id],
    );
    await assert.rejects(insert, { code: '23503' });
  });

  test('takes one version per job', async () => {
    const job = await createTestJob(services, team, 'succeeded');
    await assert.rejects(
      services.sql.query(
        `INSERT INTO adapter_versions (id, team_id, adapter_id, number, job_id, model_name, artifact, digest, bytes, files, peft, lineage)
         SELECT 'adptver-x', team_id, adapter_id, 99, job_id, 'another', artifact, digest, bytes, files, peft, lineage
         FROM adapter_versions WHERE job_id = $1`,
        [job.id],
      ),
      { code: '23505' },
    );
  });
});
