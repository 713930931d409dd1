/** The rules of leases, for every kind of leased work, on the rows of every kind that upgrade tests use. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchWork } from '../base-models/added/model-fetcher.ts';
import { extendLeases } from '../database/lease-expiry.ts';
import { insertRowsOfEveryKind } from '../database/testing/rows-of-every-kind.ts';
import { targetWork } from '../deploy/send/target-work.ts';
import { exportWork } from '../exports/export-lease.ts';
import { Prisma } from '../generated/client.ts';
import { integrationWork } from '../integrations/send/integration-work.ts';
import { publicationWork } from '../publications/send/publication-work.ts';
import { reportWork } from '../reports/file-reports.ts';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { deliveryWork } from '../webhooks/deliver/delivery-work.ts';
import {
  backOff,
  claimWork,
  claimWorkAlone,
  endWork,
  failLostWork,
  releaseWork,
  renewWork,
  teamsInTurn,
  type WorkKind,
  type WorkLease,
  writeWork,
} from './leased-work.ts';

const { raw, sql } = Prisma;
const kinds: WorkKind[] = [
  publicationWork,
  targetWork,
  deliveryWork,
  integrationWork,
  exportWork,
  fetchWork,
  reportWork,
];
/** Long enough for a test; as long as Postgres has been up at least, since no lease expires before: its holder may not have been able to renew. */
const leaseSeconds = 10;

let services: Services;
before(async () => {
  services = await openTestServices();
  for (const prefix of ['a', 'b']) await insertRowsOfEveryKind(services.sql, prefix);
  const isUp = `SELECT 1 FROM (SELECT now() - pg_postmaster_start_time() AS up) AS started WHERE up > interval '${leaseSeconds} s'`;
  while ((await run(isUp)).length === 0) await sleep(500);
});
after(async () => await services?.close());

const run = async (text: string) => (await services.sql.query(text)).rows;

/** Leaves one free row of each team, or of the installation. */
async function reset({ table, key, token, due, state, countsAttempts }: WorkKind): Promise<void> {
  const columns = Object.values(key).join(', ');
  const team = key.teamId ?? "coalesce('')";
  const open = state ? `${state.column} IN ('${state.waiting}', '${state.leased}')` : 'true';
  await run(`DELETE FROM ${table} WHERE NOT (${open})
    OR (${columns}) NOT IN (SELECT DISTINCT ON (${team}) ${columns} FROM ${table} WHERE ${open} ORDER BY ${team}, ${columns})`);
  await run(`UPDATE ${table} SET lease_until = NULL, ${token} = NULL ${state ? `, ${state.column} = '${state.waiting}'` : ''}
    ${due ? `, ${due} = now() - interval '1 minute'` : ''} ${countsAttempts ? ', attempts = 0' : ''}`);
  await run("DELETE FROM loop_turns WHERE name = 'grace'");
}

const claim = async (kind: WorkKind, count = 100): Promise<WorkLease[]> => {
  const places = teamsInTurn(kind, { count, leaseSeconds, perTeam: 1 });
  return await claimWork(services, kind, { places, count, leaseSeconds });
};
/** Ends all leases as if their processes were lost. */
const lose = async ({ table }: WorkKind) =>
  await run(`UPDATE ${table} SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL`);
const later = sql`now() + interval '1 hour'`;

for (const kind of kinds)
  describe(kind.table, () => {
    let rows: number;
    beforeEach(async () => {
      await reset(kind);
      rows = kind.key.teamId === undefined ? 1 : 2;
    });

    test('concurrent claims share the rows; each row has one lease', async () => {
      const claims = await Promise.all([1, 2, 3].map(() => claim(kind)));
      assert.equal(claims.flat().length, rows);
      assert.deepEqual(await claim(kind), []);
    });

    test('a lease that ran out is claimed by another process, and its former holder changes nothing', async () => {
      const [first] = await claim(kind);
      assert.equal(await renewWork(services, kind, first!, { leaseSeconds }), true);
      assert.equal(await renewWork(services, kind, first!, { leaseSeconds: 60, needs: raw('false') }), false);
      await lose(kind);
      await extendLeases(services, 60);
      assert.deepEqual(await claim(kind), [], 'its holder may have been unable to renew');
      await extendLeases(services, 0);
      assert.equal((await claim(kind)).length, rows);
      const before = await run(`SELECT * FROM ${kind.table}`);
      assert.equal(await renewWork(services, kind, first!, { leaseSeconds }), false);
      assert.equal(await writeWork(services, kind, first!, raw('lease_until = NULL')), null);
      assert.equal(await endWork(services, kind, first!, { due: later }), null);
      await releaseWork(services, kind, first!);
      assert.deepEqual(await run(`SELECT * FROM ${kind.table}`), before);
    });

    test('a released row is due at once, without the attempt; the former holder is fenced', async () => {
      const [lease] = await claim(kind, 1);
      await releaseWork(services, kind, lease!);
      assert.equal(await renewWork(services, kind, lease!, { leaseSeconds }), false);
      if (kind.countsAttempts)
        assert.deepEqual(await run(`SELECT 1 FROM ${kind.table} WHERE attempts <> 0`), []);
      assert.equal((await claim(kind)).length, rows);
    });

    test('a row that waits for a retry is not claimed before', async () => {
      if (kind.due === undefined) return;
      for (const lease of await claim(kind)) await endWork(services, kind, lease, { due: later });
      assert.deepEqual(await claim(kind), []);
      await run(`UPDATE ${kind.table} SET ${kind.due} = now()`);
      assert.equal((await claim(kind)).length, rows);
    });

    test('work that ends its processes again and again fails', async () => {
      if (!kind.state || !kind.ended || !kind.countsAttempts || kind === deliveryWork) return;
      const lost = { ...kind, state: kind.state, ended: kind.ended };
      const limit = { attempts: 2, leaseSeconds, error: { code: 'lost', message: 'Lost.', fault: 'system' } };
      for (const left of [rows, rows, 0]) {
        await failLostWork(services, lost, limit);
        assert.equal((await claim(kind)).length, left);
        await lose(kind);
      }
      const failed = await run(`SELECT ${kind.ended} AS ended, error FROM ${kind.table}`);
      assert.ok(failed.every(({ ended, error }) => ended !== null && error.code === 'lost'));
    });
  });

test('teams take turns, and the last places are for teams that none is worked on of', async () => {
  await reset(targetWork);
  for (let n = 1; n < 6; n++)
    await run(`INSERT INTO deploy_targets (id, team_id, adapter_id, tag, name, runtime, url, model_name, versioned_names, keep_seconds)
      SELECT id || '-${n}', team_id, adapter_id, tag, name || '-${n}', runtime, url, model_name, versioned_names, keep_seconds
      FROM deploy_targets WHERE team_id = 'a-team' AND id NOT LIKE '%target-%'`);
  const teams = async (count: number) => {
    const places = teamsInTurn(targetWork, { count, leaseSeconds, perTeam: 4, keptForOthers: 2 });
    const claimed = await claimWork(services, targetWork, { places, count, leaseSeconds });
    return claimed.map(({ teamId }) => teamId).sort();
  };
  assert.deepEqual(await teams(4), ['a-team', 'b-team']);
  assert.deepEqual(await teams(2), [], 'both are for others');
  assert.deepEqual(await teams(8), ['a-team', 'a-team', 'a-team'], 'at most four of a team');
});

test('where a team may have one, concurrent claims take one', async () => {
  for (const prefix of ['c', 'd']) await insertRowsOfEveryKind(services.sql, prefix);
  await reset(reportWork);
  await run(
    `INSERT INTO file_reports (team_id, key, sha256) SELECT team_id, key || n, sha256 FROM file_reports, generate_series(1, 3) n`,
  );
  const claims = await Promise.all(
    [1, 2, 3, 4].map(async () => {
      const places = teamsInTurn(reportWork, { count: 9, leaseSeconds, perTeam: 1 });
      return await claimWorkAlone(services, reportWork, { places, count: 9, leaseSeconds });
    }),
  );
  assert.deepEqual(
    claims
      .flatMap((leases) => leases.map(({ teamId }) => teamId!))
      .filter((id) => id > 'c')
      .sort(),
    ['c-team', 'd-team'],
  );
});

test('delays double up to the longest, by a random quarter more or less, and a server may ask for more', async () => {
  const seconds = async (failures: number, asked: number | null = null) => {
    const due = backOff({ firstSeconds: 5, longestSeconds: 600 }, sql`${failures}::int`, asked);
    const { rows } = await services.sql.query<{ s: number }>(
      sql`SELECT extract(epoch FROM ${due} - now())::float AS s`,
    );
    return rows[0]!.s;
  };
  for (const [failures, delay] of [
    [0, 5],
    [1, 10],
    [6, 320],
    [7, 600],
    [500, 600],
  ] as const)
    for (let n = 0; n < 5; n++) {
      const found = await seconds(failures);
      assert.ok(found >= delay * 0.75 - 0.01 && found <= delay * 1.25 + 0.01, `${failures}: ${found}`);
    }
  assert.ok((await seconds(0, 60)) >= 59.99);
  assert.ok((await seconds(0, 1e6)) <= 600.01);
});
