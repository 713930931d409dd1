import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withTeamScope } from '@graft/service/database';
import type { Services } from '@graft/service/services';
import { openFenced, openTestServices } from '@graft/service/testing';
import { registerWorker } from '@graft/service/workers';
import { UnhealthyReason } from '../faults/unfit.ts';
import { dataFolderProof } from './proofs.ts';
import { WorkerHealth } from './worker-health.ts';

let services: Services;
let health: WorkerHealth;
/** The fault that the checks report; null: healthy. */
let wrong: UnhealthyReason | null;
let thorough: number;
const workerId = 'worker-of-this-test';

before(async () => {
  services = await openTestServices({ role: 'worker' });
});
after(() => services.close());
afterEach(() => health.stop());

async function open(proofSeconds = 1): Promise<void> {
  thorough = 0;
  await services.sql.query('DELETE FROM workers');
  await registerWorker(services, { id: workerId, address: null, hostname: 'here', pid: 1, slots: 1 });
  const cheap = async () => {
    if (wrong) throw wrong;
  };
  const count = async () => void thorough++;
  health = new WorkerHealth({ services, workerId, cheap: [cheap], thorough: [count], proofSeconds });
}

const row = async () => await services.db.worker.findUniqueOrThrow({ where: { id: workerId } });

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await holds()) return;
    await sleep(50);
  }
  assert.fail(`waited in vain: ${JSON.stringify(await row())}`);
}

const fault = { code: 'trainer_crashed', message: 'It crashed.', param: null, fault: 'system' } as const;

test('a worker takes jobs once it has proved itself, and none while a proof fails', async () => {
  wrong = new UnhealthyReason('its disk is full', 'The disk /x is full.');
  await open();
  await until(async () => (await row()).quarantineReason === 'The disk /x is full.');
  assert.equal(health.acceptsJobs, false);
  const changes: boolean[] = [];
  health.onChange(() => changes.push(health.acceptsJobs));
  wrong = null;
  await until(() => health.acceptsJobs);
  assert.equal((await row()).quarantineReason, null);
  assert.ok(thorough > 0);

  wrong = new UnhealthyReason('its disk is full', 'The disk /x is full again.');
  await until(() => !health.acceptsJobs);
  await until(async () => (await row()).quarantineReason === 'The disk /x is full again.');
  assert.ok((await row()).quarantinedAt);
  wrong = null;
  await until(() => health.acceptsJobs);
  assert.deepEqual(changes, [true, false, true]);
});

test("a fault is the machine's when a check fails, and shows teams no path", async () => {
  wrong = null;
  await open();
  await until(() => health.acceptsJobs);
  assert.deepEqual(await health.judge(fault, 'team-a'), { fault, quarantined: false });
  const userFault = { ...fault, fault: 'user' } as const;
  wrong = new UnhealthyReason('its disk is full', 'The disk /x is full.');
  assert.deepEqual((await health.judge(userFault, 'team-a')).fault, userFault);
  const judged = await health.judge(fault, 'team-a');
  assert.deepEqual([judged.fault.fault, judged.quarantined], ['environment', true]);
  assert.equal(judged.fault.message, 'The worker cannot continue: its disk is full.');
  assert.equal(health.acceptsJobs, false);
});

test('a worker that accepts jobs gets a thorough check from time to time', async () => {
  wrong = null;
  await open(0.05);
  await until(() => health.acceptsJobs);
  const atStart = thorough;
  await until(() => thorough > atStart);
  assert.ok(health.acceptsJobs);
});

test('three faults in a row put it in quarantine, a success between clears the count, and it comes back', async () => {
  wrong = null;
  await open();
  await until(() => health.acceptsJobs);
  const judge = async () => (await health.judge(fault, 'team-a')).quarantined;
  assert.deepEqual([await judge(), await judge()], [false, false]);
  assert.equal((await row()).consecutiveFaults, 2);
  await health.jobLeft(true);
  assert.equal((await row()).consecutiveFaults, 0);
  assert.deepEqual([await judge(), await judge(), await judge()], [false, false, true]);
  assert.equal(health.acceptsJobs, false);
  await until(async () => /3 jobs failed here in a row/.test((await row()).quarantineReason ?? ''));
  await until(() => health.acceptsJobs);
  assert.deepEqual([(await row()).quarantinedAt, (await row()).consecutiveFaults], [null, 0]);
});

test('a broken base model is no sign of a broken worker; faults that only its row knows of count', async () => {
  wrong = null;
  await open();
  await until(() => health.acceptsJobs);
  const modelFault = { ...fault, code: 'invalid_safetensors', param: 'model' };
  for (let i = 0; i < 4; i++) await health.judge(modelFault, 'team-a');
  assert.deepEqual([health.acceptsJobs, (await row()).consecutiveFaults], [true, 0]);
  // As if clearing the row had failed.
  await services.sql.query('UPDATE workers SET consecutive_faults = 2');
  assert.equal((await health.judge(fault, 'team-a')).quarantined, true);
  assert.equal(health.acceptsJobs, false);
  await until(() => health.acceptsJobs);
  assert.equal((await row()).quarantinedAt, null);
});

test("one team's jobs, however many kill trainers, keep a worker that proves itself from the others only for a moment", async () => {
  wrong = null;
  await open();
  const pause = async (teams: string[]) => {
    await until(() => health.acceptsJobs);
    for (const team of teams) await health.judge(fault, team);
    const began = performance.now();
    await until(() => health.acceptsJobs);
    return (performance.now() - began) / 1000;
  };
  // proofSeconds is 1: the pause doubles from 0.1 s to at most 1 s (one team) or 5 s.
  for (let i = 0; i < 5; i++) await pause(['a', 'a', 'a']);
  const twoTeams = await pause(['a', 'b', 'a']);
  assert.ok(twoTeams > 3, `after faults of two teams' jobs: ${twoTeams} s`);
  // A busy machine may be slow once.
  for (let i = 0; i < 4; i++) if ((await pause(['a', 'a', 'a'])) < twoTeams / 2) return;
  assert.fail("after faults of one team's jobs it takes as long");
});

test("a fault of a team's job is judged although the team sees no installation and writes no worker", async () => {
  await open();
  await health.stop();
  const { database, close } = openFenced(services);
  try {
    const fenced = { ...services, ...database };
    const cheap = dataFolderProof(fenced, workerId);
    health = new WorkerHealth({ services: fenced, workerId, cheap: [cheap], thorough: [], proofSeconds: 60 });
    await until(() => health.acceptsJobs);
    const judged = await withTeamScope('team-a', async () => await health.judge(fault, 'team-a'));
    assert.deepEqual(judged, { fault, quarantined: false });
    assert.equal((await row()).consecutiveFaults, 1);
  } finally {
    await health.stop();
    await close();
  }
});
