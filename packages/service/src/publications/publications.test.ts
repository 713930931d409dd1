/** Publishes exports and versions on a server with the Hub's protocol, on real Postgres and real stores. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PublishingHub } from '@graft/peft-core/testing/publishing-hub';
import { deleteVersions } from '../adapters/delete-adapters.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { withTeamScope } from '../database/database-scope.ts';
import { deleteExport } from '../exports/change-export.ts';
import { expireExports } from '../exports/expire-exports.ts';
import { deleteIntegration, putIntegration } from '../integrations/manage-integrations.ts';
import { deleteTeam } from '../teams/delete-team.ts';
import { createTestTeam } from '../testing/job-fixtures.ts';
import { openFenced } from '../testing/open-test-services.ts';
import {
  deletePublication,
  getPublication,
  listPublications,
  type NewPublication,
} from './manage-publications.ts';
import { claimPublications, renewPublication } from './send/publication-work.ts';
import { by, PublicationBench, token } from './testing/publication-bench.ts';

let bench: PublicationBench;
const limits = { count: 5, largeCount: 5, largeBytes: 1e9, leaseSeconds: 60 };
before(async () => {
  bench = await PublicationBench.open();
});
beforeEach(async () => await bench.reset());
afterEach(async () => await bench.endTest());
after(async () => await bench?.close());

describe('publications', () => {
  test('an export becomes one commit of a private repository, with a model card', async () => {
    const made = await bench.storeExport();
    const queued = await bench.create({ exportId: made.id });
    assert.deepEqual([queued.status, queued.format, queued.made], ['queued', 'merged', null]);
    await bench.start();
    const { status, made: published } = await bench.ended(queued);
    assert.equal(status, 'succeeded');
    assert.equal(bench.hub.repositories.get('org/poet')!.private, true);
    assert.deepEqual(bench.filesOf(), ['README.md', 'config.json', 'model.safetensors']);
    assert.equal(bench.commits().length, 1);
    assert.equal(published!.commit, bench.commits()[0]!.sha);
    assert.equal(published!.url, `${bench.hub.endpoint}/org/poet/commit/${published!.commit}`);
    const card = bench.commits()[0]!.files.get('README.md')!.content.toString();
    assert.match(card, /^---\nlibrary_name: transformers\npipeline_tag: text-generation\n/);
    assert.match(card, /AutoModelForCausalLM.from_pretrained\("org\/poet"\)/);
    assert.match(card, /Rounded/);

    // The same again is the same publication; deleted and made again, it finds its files there.
    assert.deepEqual(
      await bench.create({ exportId: made.id, repository: 'org/Poet' }),
      await bench.ended(queued),
    );
    await deletePublication(bench.services, bench.team.id, queued, by);
    const again = await bench.ended(await bench.create({ exportId: made.id }));
    assert.deepEqual(
      [again.made!.changed, again.made!.commit, bench.commits().length],
      [0, published!.commit, 1],
    );
  });

  test('an uploaded version keeps the README.md of its user, and has none without a card', async () => {
    bench.version = await bench.storeVersion(bench.team, { 'README.md': '# Mine' });
    await bench.start();
    await bench.ended(await bench.create());
    assert.equal(bench.commits()[0]!.files.get('README.md')!.content.toString(), '# Mine');
    bench.version = await bench.storeVersion(bench.team);
    await bench.ended(await bench.create({ repository: 'org/bare', card: false }));
    assert.deepEqual(bench.filesOf('org/bare'), ['adapter_config.json', 'adapter_model.safetensors']);
  });

  test('an unavailable Hub, cut uploads and lost answers are tried again, with one commit', async () => {
    bench.hub.cutUploads = 2;
    bench.hub.storageFaults.push(403, 400);
    bench.hub.commitFaults.push(503, 429, 500);
    bench.hub.lostAnswers = 1;
    const queued = await bench.create();
    await bench.start();
    const waiting = await bench.failing(queued);
    assert.equal(waiting.error!.code, 'hub_unavailable');
    assert.match(waiting.error!.message, /try again later/);
    const { status, error, attempts } = await bench.ended(queued);
    assert.deepEqual([status, error, bench.commits().length], ['succeeded', null, 1]);
    assert.ok(attempts >= 5, String(attempts));
  });

  test('a Hub that accepts connections and answers nothing, or refuses them, is tried again', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const moved = {
      ...bench.services,
      env: { ...bench.services.env, hfEndpoint: `http://127.0.0.1:${port}` },
    };
    await putIntegration(moved, bench.team.id, 'huggingface', { secret: token }, by);
    const queued = await bench.create();
    await bench.start({ idleMs: 100 }, moved);
    const waiting = await bench.failing(queued);
    assert.match(waiting.error!.message, /cannot be reached \(No answer came from the server/);
    silent.close();
    assert.equal((await bench.until(queued, ({ attempts }) => attempts >= 3)).made, null);
    // In the end it fails with the reason.
    await bench.start({ giveUpSeconds: 0 }, moved);
    assert.equal((await bench.ended(queued)).error!.code, 'hub_unavailable');
  });

  test('each refusal is final and names the remedy', async () => {
    await bench.start();
    const refused = async (code: string, message: RegExp, changes: Partial<NewPublication> = {}) => {
      const { status, error, attempts } = await bench.ended(await bench.create(changes));
      assert.deepEqual([status, error!.code, attempts], ['failed', code, 1]);
      assert.match(error!.message, message);
    };
    await refused('hub_refused', /403.*integration huggingface may not write there/, {
      repository: 'other/poet',
    });
    bench.hub.repositories.set('org/open', { private: false, commits: [] });
    await refused('repository_public', /is public/, { repository: 'org/open' });
    assert.equal(bench.hub.repositories.get('org/open')!.commits.length, 0);
    // Allowed by a second request, which queues the same publication again.
    const allowed = await bench.ended(await bench.create({ repository: 'org/open', isPublic: true }));
    assert.equal(allowed.status, 'succeeded');
    bench.hub.commitFaults.push(400);
    await refused('hub_refused', /400.*does not accept/, { repository: 'org/refused' });
    await bench.setToken('hf_revoked');
    await refused('hub_refused', /401.*make a new one/, { repository: 'org/second' });
    await bench.setToken();
    const again = await bench.ended(await bench.create({ repository: 'org/second' }));
    assert.equal(again.status, 'succeeded', 'a failed one is queued again');

    await assert.rejects(bench.create({ repository: 'poet' }), {
      code: 'invalid_repository',
      param: 'repository',
    });
    await assert.rejects(bench.create({ exportId: 'exp-none' }), {
      code: 'export_not_found',
      param: 'export_id',
    });
    await deleteIntegration(bench.services, bench.team.id, 'huggingface', by);
    await assert.rejects(bench.create({ repository: 'org/third' }), {
      code: 'hub_token_missing',
      message: /an admin of the team sets the token/,
    });
  });

  test('what is gone when its turn comes fails; an export is not expired while it waits', async () => {
    const made = await bench.storeExport();
    const other = await bench.storeExport('gguf');
    const waiting = await bench.create({ exportId: made.id });
    const deleted = await bench.create({ exportId: other.id, repository: 'org/gguf' });
    await bench.services.sql.query(`UPDATE adapter_exports SET expires_at = now() - interval '1 day'`);
    await expireExports(bench.services);
    await deleteExport(bench.services, other, by);
    await bench.start();
    assert.equal((await bench.ended(waiting)).status, 'succeeded');
    assert.equal((await bench.ended(deleted)).error!.code, 'export_not_found');
    assert.equal(bench.hub.repositories.has('org/gguf'), false);
    assert.equal(await expireExports(bench.services), 1);

    // Damaged and missing files are never published.
    const file = path.join(
      dataFolder(bench.services.env.dataDir).artifact(bench.version.artifact),
      'adapter_config.json',
    );
    await rm(file);
    const { status, error } = await bench.ended(await bench.create({ repository: 'org/damaged' }));
    assert.equal(status, 'failed');
    assert.match(error!.code, /artifact_(missing|corrupt)/);
    assert.doesNotMatch(error!.message, /\//);
    assert.equal(bench.hub.repositories.has('org/damaged'), false);
  });

  test('what is deleted while its files are sent is never committed', async () => {
    const { services } = bench;
    const other = await bench.storeVersion();
    const made = await bench.storeExport();
    const cases: [
      code: string,
      repository: string,
      changes: Partial<NewPublication>,
      remove: () => unknown,
    ][] = [
      [
        'adapter_version_not_found',
        'org/version',
        { versionId: other.id },
        () => deleteVersions(services, bench.team.id, other, by),
      ],
      ['export_not_found', 'org/export', { exportId: made.id }, () => deleteExport(services, made, by)],
      [
        'hub_token_missing',
        'org/token',
        {},
        () => deleteIntegration(services, bench.team.id, 'huggingface', by),
      ],
    ];
    // The lease is renewed after the whole upload: only the question before the commit notices.
    await bench.start({ leaseSeconds: 60 });
    for (const [code, repository, changes, remove] of cases) {
      let removed = false;
      bench.hub.afterUpload = async () => {
        if (removed) return;
        removed = true;
        await remove();
      };
      const queued = await bench.create({ ...changes, repository });
      await bench.until(queued, () => removed);
      // A commit would follow within milliseconds.
      await sleep(1_000);
      assert.equal(bench.commits(repository).length, 0);
      await bench.stop();
      await bench.services.sql.query(
        `UPDATE publications SET lease_until = to_timestamp(0) WHERE status = 'running'`,
      );
      await bench.start({ leaseSeconds: 60 });
      const { status, error } = await bench.ended(queued);
      assert.deepEqual([status, error!.code], ['failed', code]);
      assert.equal(bench.commits(repository).length, 0);
    }
    await bench.stop();
    await bench.setToken();

    const { database, close } = openFenced(services);
    await bench.create({ repository: 'org/team' });
    const [claimed] = await claimPublications(services, limits);
    const renew = () => withTeamScope(bench.team.id, async () => renewPublication(database, claimed!, 60));
    assert.equal(await renew(), true);
    await deleteTeam(services, bench.team.id, bench.team.name, by);
    assert.equal(await renew(), false);
    await close();
  });

  test('large ones leave slots to others', async () => {
    const claims = async (largeCount: number) => {
      const claimed = await claimPublications(bench.services, { ...limits, largeCount, largeBytes: 300_000 });
      return claimed.map(({ repository, isLarge }) => `${repository} ${isLarge}`).sort();
    };
    for (const [repository, content] of [
      ['org/a-large', 'x'.repeat(100_000)],
      ['org/b-large', 'x'.repeat(100_000)],
      ['org/c-small', 'x'],
    ] as const) {
      const team = await createTestTeam(bench.services);
      await bench.setToken(token, team);
      const { id: versionId } = await bench.storeVersion(team, { 'more.txt': content });
      await bench.create({ versionId, repository }, team);
    }
    assert.deepEqual(await claims(0), ['org/c-small false']);
    assert.deepEqual(await claims(1), ['org/a-large true']);
    assert.deepEqual(await claims(5), ['org/b-large true']);
  });

  test('a token is sent only to the Hub that it was given for, and leaves no trace', async () => {
    await assert.rejects(
      putIntegration(
        bench.services,
        bench.team.id,
        'huggingface',
        { secret: token, url: 'https://example.com' },
        by,
      ),
      { code: 'invalid_integration', param: 'url' },
    );
    const queued = await bench.create();
    const evil = await PublishingHub.start();
    const moved = { ...bench.services, env: { ...bench.services.env, hfEndpoint: evil.endpoint } };
    await bench.start({}, moved);
    const { error } = await bench.ended(queued);
    assert.equal(error!.code, 'hub_token_missing');
    assert.deepEqual(evil.requests, []);
    await bench.stop();
    evil.stop();
    // Without the operator's permission no internal address is connected to.
    const closed = { ...bench.services, env: { ...bench.services.env, integrationAllow: [] } };
    const before = bench.hub.requests.length;
    const second = await bench.create({ repository: 'org/closed' });
    await bench.start({}, closed);
    assert.match((await bench.failing(second)).error!.message, /GRAFT_INTEGRATION_ALLOW/);
    assert.equal(bench.hub.requests.length, before);
    const { rows } = await bench.services.sql.query(
      `SELECT (SELECT json_agg(p) FROM publications p)::text || (SELECT json_agg(i) FROM integrations i)::text
         || (SELECT json_agg(a) FROM audit_log a)::text AS all`,
    );
    assert.doesNotMatch(rows[0].all, new RegExp(token));
  });

  test('one at a time for each team; another team is not delayed', async () => {
    const other = await createTestTeam(bench.services);
    await bench.setToken(token, other);
    let running = 0;
    let most = 0;
    bench.hub.beforeCommit = async () => {
      most = Math.max(most, ++running);
      await sleep(300);
      running--;
    };
    const own = [];
    for (let i = 0; i < 3; i++) own.push(await bench.create({ repository: `org/own-${i}`, card: false }));
    const claimed = (
      await Promise.all(
        [1, 2, 3].map(() => claimPublications(bench.services, { ...limits, leaseSeconds: 0.2 })),
      )
    ).flat();
    assert.equal(claimed.length, 1);
    await sleep(250);
    // Nothing of a deleted team is sent.
    const deletedTeam = await createTestTeam(bench.services);
    await bench.setToken(token, deletedTeam);
    const deletedVersion = await bench.storeVersion(deletedTeam);
    await bench.create({ versionId: deletedVersion.id, repository: 'org/gone' }, deletedTeam);
    await deleteTeam(bench.services, deletedTeam.id, deletedTeam.name, by);
    const theirVersion = await bench.storeVersion(other);
    const theirs = await bench.create({ versionId: theirVersion.id, repository: 'org/theirs' }, other);
    await bench.start();
    await bench.ended(theirs);
    const open = await Promise.all(
      own.map(async (each) => await getPublication(bench.services, bench.team.id, each)),
    );
    assert.ok(open.some((each) => each!.status !== 'succeeded'));
    for (const each of own) assert.equal((await bench.ended(each)).status, 'succeeded');
    assert.equal(most, 2);
    assert.equal(bench.hub.repositories.has('org/gone'), false);
  });

  test('deleting one that is being sent interrupts it; closing releases it', async () => {
    let arrived = 0;
    bench.hub.beforeCommit = async () => {
      arrived++;
      await sleep(30_000, undefined, { ref: false });
    };
    const deleted = await bench.create();
    await bench.start();
    await bench.until(deleted, () => arrived === 1);
    await deletePublication(bench.services, bench.team.id, deleted, by);
    const next = await bench.create({ repository: 'org/next' });
    await bench.until(next, () => arrived === 2);
    await bench.stop();
    const released = await getPublication(bench.services, bench.team.id, next);
    assert.deepEqual([released!.status, released!.attempts], ['queued', 0]);
    assert.equal(bench.commits().length, 0);
  });

  test('another team sees and changes nothing', async () => {
    const other = await createTestTeam(bench.services);
    await bench.setToken(token, other);
    const queued = await bench.create();
    assert.equal(await getPublication(bench.services, other.id, queued), null);
    assert.equal(await deletePublication(bench.services, other.id, queued, by), false);
    await assert.rejects(bench.create({}, other), { code: 'adapter_version_not_found' });
    const { database, close } = openFenced(bench.services);
    await withTeamScope(other.id, async () => {
      assert.equal(await database.db.publication.count(), 0);
      assert.equal(
        (await listPublications(database, bench.team.id, bench.version.id, { limit: 10 })).data.length,
        0,
      );
    });
    assert.equal(await withTeamScope(bench.team.id, async () => database.db.publication.count()), 1);
    await close();
  });
});
