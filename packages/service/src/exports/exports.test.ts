import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { parsePeftConfig } from '@graft/peft-core/config';
import type { AdapterVersion } from '../adapters/adapter.ts';
import { publishUpload } from '../adapters/publish-upload.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { newId, randomText } from '../ids.ts';
import { collectDeleted } from '../maintenance/collect-deleted.ts';
import { collectGarbage } from '../maintenance/collect-garbage.ts';
import type { Services } from '../services.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { createExport } from './create-export.ts';
import type { AdapterExport, ExportLease } from './export.ts';
import {
  claimExport,
  endExportLeases,
  failExport,
  finishExport,
  heartbeatExport,
  lostLimit,
  releaseExport,
} from './export-lease.ts';
import { getExport } from './read-exports.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
after(async () => await services?.close());
beforeEach(async () => {
  await services.sql.query('DELETE FROM adapter_exports; DELETE FROM team_turns');
});

async function teamWithVersion(): Promise<{ team: TestTeam; version: AdapterVersion }> {
  const team = await createTestTeam(services);
  const folder = await services.artifacts.stage(newId('version'), 0);
  await writeFile(path.join(folder, 'adapter_model.safetensors'), randomText(20));
  const version = await publishUpload(
    services,
    team.id,
    {
      ...(await services.artifacts.publish(folder)),
      name: 'mine',
      base: { id: 'tiny', digest: 'b'.repeat(64) },
      peft: parsePeftConfig({ peft_type: 'LORA', r: 4 }),
      parentId: null,
      note: null,
    },
    { keyId: team.keyId },
  );
  return { team, version };
}

async function request(of: Awaited<ReturnType<typeof teamWithVersion>>, number = 0): Promise<AdapterExport> {
  const wanted = { versionId: of.version.id, format: 'peft', reservedBytes: 1000, keep: false };
  const options = { number };
  const by = { keyId: of.team.keyId };
  return (await createExport(services, of.team.id, { ...wanted, options }, by)).made;
}

const claim = async (workerId = 'w1') => await claimExport(services, { workerId, leaseSeconds: 60 });
const read = async (made: AdapterExport) => (await getExport(services, made.teamId, made))!;

async function store(lease: ExportLease) {
  const folder = await services.exports.stage(lease.id, lease.epoch, lease.token);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'model.bin'), 'model');
  return await services.exports.publish(folder);
}

const expire = async ({ id }: AdapterExport) =>
  await services.sql.query('UPDATE adapter_exports SET lease_until = to_timestamp(0) WHERE id = $1', [id]);

describe('exports', () => {
  test('only the holder of the lease writes: another claim has another token and epoch', async () => {
    const of = await teamWithVersion();
    const made = await request(of);
    const first = (await claim())!;
    assert.equal(await claim('w2'), null, 'it is claimed once');
    await expire(made);
    const second = (await claim('w2'))!;
    assert.deepEqual([second.lease.epoch, second.made.attempts], [2, 2]);
    const stored = await store(first.lease);
    assert.equal(
      await heartbeatExport(services, first.lease, { leaseSeconds: 60, done: 1, total: 2 }),
      false,
    );
    assert.equal(await finishExport(services, first.lease, { stored, notes: [] }), false);
    const error = { code: 'x', message: 'x', param: null, fault: 'system' } as const;
    assert.equal(await failExport(services, first.lease, error), null);
    await releaseExport(services, first.lease);
    // A failover may repeat an epoch; the token differs.
    const imposter = { ...second.lease, token: 'another' };
    assert.equal(await finishExport(services, imposter, { stored, notes: [] }), false);
    const own = await store(second.lease);
    assert.equal(await finishExport(services, second.lease, { stored: own, notes: ['done'] }), true);
    // The answer to a COMMIT may be lost.
    assert.equal(await finishExport(services, second.lease, { stored: own, notes: ['done'] }), true);
    const row = await read(made);
    assert.deepEqual([row.status, row.stored!.artifact, row.notes], ['succeeded', own.artifact, ['done']]);
    await assert.rejects(
      services.sql.query("UPDATE adapter_exports SET status = 'queued' WHERE id = $1", [made.id]),
      /has ended as succeeded/,
    );
  });

  test('the last of several places is for a team without a running export', async () => {
    const [one, other] = [await teamWithVersion(), await teamWithVersion()];
    for (const number of [0, 1]) await request(one, number);
    assert.ok(await claim());
    const last = { workerId: 'w1', leaseSeconds: 60, isLastOfSeveral: true };
    assert.equal(await claimExport(services, last), null);
    await request(other);
    assert.equal((await claimExport(services, last))!.made.teamId, other.team.id);
    // In a place that is not the last, the team has its next one.
    assert.equal((await claim())!.made.teamId, one.team.id);
  });

  test('teams take turns, by weight', async () => {
    const [many, few] = [await teamWithVersion(), await teamWithVersion()];
    for (let i = 0; i < 4; i++) await request(many, i);
    for (let i = 0; i < 2; i++) await request(few, i);
    const turns: string[] = [];
    for (let i = 0; i < 6; i++) turns.push((await claim())!.made.teamId === few.team.id ? 'few' : 'many');
    assert.deepEqual(turns.slice(0, 4).sort(), ['few', 'few', 'many', 'many']);
    assert.deepEqual(turns.slice(4), ['many', 'many']);
    assert.equal(await claim(), null);
  });

  test('an export whose workers are lost again and again fails; a released attempt does not count', async () => {
    const of = await teamWithVersion();
    const made = await request(of);
    await releaseExport(services, (await claim())!.lease);
    assert.equal((await read(made)).attempts, 0);
    for (let i = 0; i < lostLimit; i++) {
      assert.ok(await claim(`w${i}`));
      assert.deepEqual(await endExportLeases(services, [`w${i}`, 'other']), [made.id]);
    }
    assert.equal(await claim(), null);
    const { status, error } = await read(made);
    assert.deepEqual([status, error!.code], ['failed', 'export_lost']);
  });

  test('the time of a released attempt is charged', async () => {
    const of = await teamWithVersion();
    const made = await request(of);
    const { lease } = (await claim())!;
    const used = async () =>
      (
        await services.sql.query<{ used: number }>(
          "SELECT virtual_time AS used FROM team_turns WHERE team_id = $1 AND kind = 'export'",
          [of.team.id],
        )
      ).rows[0]!.used;
    await services.sql.query(
      "UPDATE adapter_exports SET started_at = now() - interval '3 minutes' WHERE id = $1",
      [made.id],
    );
    const before = await used();
    await releaseExport(services, lease);
    assert.ok((await used()) > before + 1);
  });

  test('a repeated request renews what is there, and audits that it is kept, but not a damaged export', async () => {
    const of = await teamWithVersion();
    const made = await request(of, 7);
    const by = { keyId: of.team.keyId };
    const wanted = { versionId: of.version.id, format: 'peft', reservedBytes: 1000, keep: true };
    const again = async () =>
      await createExport(services, of.team.id, { ...wanted, options: { number: 7 } }, by);
    for (let i = 0; i < 2; i++) {
      const { made: same, created } = await again();
      assert.deepEqual([same.id, same.keep, created], [made.id, true, false]);
    }
    const { rows } = await services.sql.query(
      "SELECT 1 FROM audit_log WHERE team_id = $1 AND action = 'export.keep'",
      [of.team.id],
    );
    assert.equal(rows.length, 1);
    const { lease } = (await claim())!;
    await finishExport(services, lease, { stored: await store(lease), notes: [] });
    await services.sql.query('UPDATE adapter_exports SET corrupt_at = now() WHERE id = $1', [made.id]);
    assert.equal((await again()).created, true);
  });

  test('exports of a deleted team are not taken', async () => {
    const of = await teamWithVersion();
    await request(of);
    await services.sql.query('UPDATE teams SET deleted_at = now() WHERE id = $1', [of.team.id]);
    assert.equal(await claim(), null);
  });

  test('stored files without a row are collected after a day, those of an export are not', async () => {
    const of = await teamWithVersion();
    const made = await request(of);
    const { lease } = (await claim())!;
    const [named, orphan] = [await store(lease), await store(lease)];
    assert.equal(await finishExport(services, lease, { stored: named, notes: [] }), true);
    const { export: pathOf, exportStaging } = dataFolder(services.env.dataDir);
    assert.equal((await collectGarbage(services)).exports, 0);
    const tomorrow = new Date(Date.now() + 25 * 3600 * 1000);
    assert.ok((await collectGarbage(services, tomorrow)).exports >= 1);
    assert.deepEqual(
      [existsSync(pathOf(named.artifact)), existsSync(pathOf(orphan.artifact))],
      [true, false],
    );

    // Files that lost attempts have staged go once the export has ended; a running export keeps its folder.
    const second = await request(of, 2);
    const running = (await claim())!;
    const folder = await services.exports.stage(second.id, running.lease.epoch, running.lease.token);
    await services.exports.stage(made.id, 1, 'lost');
    const old = new Date(Date.now() - 3600 * 1000);
    for (const id of [made.id, second.id]) await utimes(path.join(exportStaging, id), old, old);
    await collectDeleted(services, { parts: true });
    assert.deepEqual([existsSync(folder), existsSync(path.join(exportStaging, made.id))], [true, false]);
  });
});
