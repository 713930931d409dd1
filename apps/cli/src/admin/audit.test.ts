import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTeam } from '@graft/service';
import { openTestServices } from '@graft/service/testing';
import { graftIn, temporaryFolder } from '../testing/run-graft.ts';

test('verify passes an untouched audit log, and names what was changed or cut off since its head was kept', async (t) => {
  const services = await openTestServices();
  t.after(() => services.close());
  const { databaseUrl, env, sql } = services;
  const graft = graftIn(temporaryFolder(t), { DATABASE_URL: databaseUrl, GRAFT_DATA_DIR: env.dataDir });
  const team = await createTeam(services, { name: 'audited' });
  await services.db.auditEntry.createMany({
    data: ['a', 'b', 'c'].map((target) => ({ teamId: team.id, action: 'x', target })),
  });
  const heads = (await graft.json(['admin', 'audit', 'heads'])).data;
  const { sequence, hash } = heads.find(({ id }: { id: string }) => id === team.id);
  const verify = ['admin', 'audit', 'verify'];
  const ofTeam = [...verify, '--chain', team.id, '--head', `${sequence}:${hash}`];
  assert.match((await graft.ok(verify)).stdout, new RegExp(`${team.id} +${sequence} +unchanged`));
  await graft.ok(ofTeam);

  // An attacker who owns the tables cuts off the end of the chain and mends its head.
  await sql.query(
    `ALTER TABLE audit_log DISABLE TRIGGER USER; ALTER TABLE audit_chains DISABLE TRIGGER USER;
     DELETE FROM audit_log WHERE team_id = '${team.id}' AND sequence = ${sequence};
     UPDATE audit_chains SET (sequence, hash) = (SELECT sequence, hash FROM audit_log
       WHERE team_id = '${team.id}' AND sequence = ${sequence - 1}) WHERE chain = '${team.id}';`,
  );
  await graft.ok(verify);
  const cut = await graft.graft(ofTeam);
  assert.equal(cut.code, 1);
  assert.match(cut.stderr, new RegExp(`first broken entry of ${team.id} is number ${sequence}`));
  await sql.query(`UPDATE audit_log SET target = 'forged' WHERE team_id = '${team.id}' AND sequence = 2`);
  const forged = await graft.graft(verify);
  assert.equal(forged.code, 1);
  assert.match(forged.stderr, /number 2 \(changed\)/);
});
