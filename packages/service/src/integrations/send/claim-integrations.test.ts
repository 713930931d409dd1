import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Services } from '../../services.ts';
import { createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { startMetricJob } from '../testing/metric-job.ts';
import { claimIntegrations } from './integration-work.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
after(async () => await services?.close());

test('two teams with slow services do not hold all slots: a third one’s first is claimed at once', async () => {
  const slow = [await createTestTeam(services), await createTestTeam(services)];
  for (const team of slow)
    for (let i = 0; i < 4; i++)
      await startMetricJob(services, team, { type: 'wandb', wandb: { project: 'p' } });
  await services.sql.query('UPDATE job_integrations SET next_attempt_at = now()');
  const claim = async (count: number) =>
    (await claimIntegrations(services, { count, perTeam: 4, keptForOthers: 2, leaseSeconds: 600 })).map(
      ({ teamId }) => teamId,
    );
  const first = await claim(8);
  assert.equal(first.length, 6);
  assert.deepEqual(await claim(2), [], 'two are kept');
  const calm = await createTestTeam(services);
  for (let i = 0; i < 2; i++)
    await startMetricJob(services, calm, { type: 'wandb', wandb: { project: 'p' } });
  await services.sql.query('UPDATE job_integrations SET next_attempt_at = now() WHERE team_id = $1', [
    calm.id,
  ]);
  assert.deepEqual(await claim(2), [calm.id], 'one, and then it is no team without any');
});
