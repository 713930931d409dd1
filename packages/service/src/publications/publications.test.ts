/** Publishes exports and versions on a server with the Hub's protocol, on real Postgres and real stores. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parsePeftConfig } from '@graft/peft-core/config';
import { PublishingHub } from '@graft/peft-core/testing/publishing-hub';
import type { AdapterVersion } from '../adapters/adapter.ts';
import { publishUpload } from '../adapters/publish-upload.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { withTeamScope } from '../database/database-scope.ts';
import { deleteExport } from '../exports/change-export.ts';
import { createExport } from '../exports/create-export.ts';
import { expireExports } from '../exports/expire-exports.ts';
import type { AdapterExport } from '../exports/export.ts';
import { claimExport, finishExport } from '../exports/export-lease.ts';
import { newId } from '../ids.ts';
import { deleteIntegration, putIntegration } from '../integrations/manage-integrations.ts';
import type { Services } from '../services.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { keepLog } from '../testing/keep-log.ts';
import { openFenced, openTestServices } from '../testing/open-test-services.ts';
import {
  createPublication,
  deletePublication,
  getPublication,
  listPublications,
  type NewPublication,
} from './manage-publications.ts';
import type { Publication } from './publication.ts';
import { claimPublications } from './send/claim-publications.ts';
import { type PublicationTimes, startPublicationSender } from './send/publication-sender.ts';
import { quick } from './testing/quick.ts';

const token = 'hf_canary1234567890';
const by = { keyId: 'key-test' };

let hub: PublishingHub;
let services: Services;
let team: TestTeam;
let version: AdapterVersion;
let sender: { close(): Promise<void> } | undefined;
const log = keepLog();

before(async () => {
  hub = await PublishingHub.start();
  const env = { GRAFT_INTEGRATION_ALLOW: '127.0.0.1', HF_ENDPOINT: hub.endpoint };
  services = await openTestServices({ env, log: log.log });
});
beforeEach(async () => {
  hub.reset();
  await services.sql.query('DELETE FROM publications');
  hub.tokens.set(token, ['org']);
  team = await createTestTeam(services);
  version = await storeVersion(team);
  await setToken();
});
afterEach(async () => {
  await sender?.close();
  sender = undefined;
  assert.equal(hub.leaked, false);
  assert.doesNotMatch(JSON.stringify(log.lines), new RegExp(token));
});
after(async () => {
  hub?.stop();
  await services?.close();
});

const setToken = async (secret = token, of = team) =>
  await putIntegration(services, of.id, 'huggingface', { secret }, by);
const start = (times: Partial<PublicationTimes> = {}) => {
  sender = startPublicationSender(services, { ...quick, ...times });
};
const create = async (changes: Partial<NewPublication> = {}, of = team) => {
  const request = {
    versionId: version.id,
    exportId: null,
    repository: 'org/poet',
    isPublic: false,
    card: true,
  };
  return (await createPublication(services, of.id, { ...request, ...changes }, by)).publication;
};

async function storeVersion(
  of: TestTeam,
  files: Record<string, Buffer | string> = {},
): Promise<AdapterVersion> {
  const folder = await services.artifacts.stage(newId('version'), 0);
  const all = { 'adapter_model.safetensors': randomBytes(250_000), 'adapter_config.json': '{}', ...files };
  for (const [name, content] of Object.entries(all)) await writeFile(path.join(folder, name), content);
  const stored = await services.artifacts.publish(folder);
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 4 });
  const base = { id: 'tiny', digest: 'b'.repeat(64) };
  const upload = { ...stored, name: 'poet', base, peft, parentId: null, note: null };
  return await publishUpload(services, of.id, upload, { keyId: of.keyId });
}

/** Does what a worker does. */
async function storeExport(format = 'merged'): Promise<AdapterExport> {
  const request = { versionId: version.id, format, options: {}, reservedBytes: 1, keep: false };
  const { made } = await createExport(services, team.id, request, by);
  const { lease } = (await claimExport(services, { workerId: 'w', leaseSeconds: 60 }))!;
  const folder = await services.exports.stage(made.id, lease.epoch, lease.token);
  await writeFile(path.join(folder, 'model.safetensors'), randomBytes(250_000));
  await writeFile(path.join(folder, 'config.json'), '{}');
  const stored = await services.exports.publish(folder);
  await finishExport(services, lease, { stored, notes: ['Rounded.'] });
  return made;
}

async function until(
  { id, teamId, versionId }: Publication,
  holds: (now: Publication) => boolean,
): Promise<Publication> {
  for (let i = 0; i < 1_000; i++) {
    const now = await getPublication(services, teamId, { versionId, id });
    assert.ok(now);
    if (holds(now)) return now;
    await sleep(20);
  }
  throw new Error(JSON.stringify(await getPublication(services, teamId, { versionId, id })));
}
const ended = async (of: Publication) =>
  await until(of, ({ status }) => status === 'succeeded' || status === 'failed');
const failing = async (of: Publication) =>
  await until(of, ({ status, error }) => status === 'queued' && error !== null);
const commits = (repository = 'org/poet') => hub.repositories.get(repository)!.commits.slice(1);
const filesOf = (repository = 'org/poet') => [...commits(repository).at(-1)!.files.keys()].sort();

describe('publications', () => {
  test('an export becomes one commit of a private repository, with a model card', async () => {
    const made = await storeExport();
    const queued = await create({ exportId: made.id });
    assert.deepEqual([queued.status, queued.format, queued.made], ['queued', 'merged', null]);
    start();
    const { status, made: published } = await ended(queued);
    assert.equal(status, 'succeeded');
    assert.equal(hub.repositories.get('org/poet')!.private, true);
    assert.deepEqual(filesOf(), ['README.md', 'config.json', 'model.safetensors']);
    assert.equal(commits().length, 1);
    assert.equal(published!.commit, commits()[0]!.sha);
    assert.equal(published!.url, `${hub.endpoint}/org/poet/commit/${published!.commit}`);
    const card = commits()[0]!.files.get('README.md')!.content.toString();
    assert.match(card, /^---\nlibrary_name: transformers\npipeline_tag: text-generation\n/);
    assert.match(card, /AutoModelForCausalLM.from_pretrained\("org\/poet"\)/);
    assert.match(card, /Rounded/);

    // The same again is the same publication; deleted and made again, it finds its files there.
    assert.deepEqual(await create({ exportId: made.id, repository: 'org/Poet' }), await ended(queued));
    await deletePublication(services, team.id, queued, by);
    const again = await ended(await create({ exportId: made.id }));
    assert.deepEqual([again.made!.changed, again.made!.commit, commits().length], [0, published!.commit, 1]);
  });

  test('an uploaded version keeps the README.md of its user, and has none without a card', async () => {
    version = await storeVersion(team, { 'README.md': '# Mine' });
    start();
    await ended(await create());
    assert.equal(commits()[0]!.files.get('README.md')!.content.toString(), '# Mine');
    version = await storeVersion(team);
    await ended(await create({ repository: 'org/bare', card: false }));
    assert.deepEqual(filesOf('org/bare'), ['adapter_config.json', 'adapter_model.safetensors']);
  });

  test('an unavailable Hub, cut uploads and lost answers are tried again, with one commit', async () => {
    hub.cutUploads = 2;
    hub.commitFaults.push(503, 429, 500);
    hub.lostAnswers = 1;
    const queued = await create();
    start();
    const waiting = await failing(queued);
    assert.equal(waiting.error!.code, 'hub_unavailable');
    assert.match(waiting.error!.message, /try again later/);
    const { status, error, attempts } = await ended(queued);
    assert.deepEqual([status, error, commits().length], ['succeeded', null, 1]);
    assert.ok(attempts >= 5, String(attempts));
  });

  test('a Hub that accepts connections and answers nothing, or refuses them, is tried again', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const moved = { ...services, env: { ...services.env, hfEndpoint: `http://127.0.0.1:${port}` } };
    await putIntegration(moved, team.id, 'huggingface', { secret: token }, by);
    const queued = await create();
    sender = startPublicationSender(moved, { ...quick, idleMs: 100 });
    const waiting = await failing(queued);
    assert.match(waiting.error!.message, /cannot be reached \(The receiver took too long/);
    silent.close();
    await until(queued, ({ error }) => /refuses connections/.test(error?.message ?? ''));
    assert.equal((await until(queued, ({ attempts }) => attempts >= 3)).made, null);
    // In the end it fails with the reason.
    await sender.close();
    sender = startPublicationSender(moved, { ...quick, giveUpSeconds: 0 });
    assert.equal((await ended(queued)).error!.code, 'hub_unavailable');
    sender.close();
  });

  for (const [name, commitIsMade] of [
    ['killed between upload and commit', false],
    ['killed after a commit whose answer nobody got', true],
  ] as const)
    test(`a process that is ${name} leaves its work to the next`, async () => {
      const made = await storeExport();
      let child: ChildProcess | undefined;
      hub.beforeCommit = async () => {
        if (!child || child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGKILL');
        await once(child, 'exit');
        if (!commitIsMade) throw new Error('cut');
      };
      const queued = await create({ exportId: made.id });
      const { env, databaseUrl } = services;
      child = fork(new URL('testing/publishing-process.ts', import.meta.url), {
        execArgv: ['--import', 'tsx'],
        env: {
          ...process.env,
          DATABASE_URL: databaseUrl,
          GRAFT_DATA_DIR: env.dataDir,
          GRAFT_INTEGRATION_ALLOW: '127.0.0.1',
          HF_ENDPOINT: hub.endpoint,
        },
      });
      await once(child, 'exit');
      assert.equal(child.signalCode, 'SIGKILL');
      const left = await getPublication(services, team.id, queued);
      assert.deepEqual([left!.status, left!.made], ['running', null]);
      const puts = hub.puts;
      start();
      const { status, attempts, made: published } = await ended(queued);
      assert.equal(status, 'succeeded');
      assert.ok(attempts >= 2);
      assert.equal(commits().length, 1);
      assert.equal(commits()[0]!.sha, published!.commit);
      assert.equal(hub.puts, puts, 'large files are not sent again');
    });

  test('two processes that send the same, because one has lost its lease, make one commit', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let arrived = 0;
    hub.beforeCommit = async () => {
      if (++arrived === 1) await gate;
    };
    const queued = await create();
    // Never renews: as if it stood still.
    const stuck = startPublicationSender(
      { ...services, sql: { ...services.sql, query: frozen(services.sql) } as never },
      { ...quick, leaseSeconds: 2, idleMs: 20_000 },
    );
    await until(queued, ({ status }) => status === 'running' && arrived === 1);
    start();
    const { status } = await ended(queued);
    release();
    await stuck.close();
    assert.deepEqual([status, commits().length], ['succeeded', 1]);
  });

  test('each refusal is final and names the remedy', async () => {
    start();
    const refused = async (code: string, message: RegExp, changes: Partial<NewPublication> = {}) => {
      const { status, error, attempts } = await ended(await create(changes));
      assert.deepEqual([status, error!.code, attempts], ['failed', code, 1]);
      assert.match(error!.message, message);
    };
    await refused('hub_refused', /403.*integration huggingface may not write there/, {
      repository: 'other/poet',
    });
    hub.repositories.set('org/open', { private: false, commits: [] });
    await refused('repository_public', /is public/, { repository: 'org/open' });
    assert.equal(hub.repositories.get('org/open')!.commits.length, 0);
    // Allowed by a second request, which queues the same publication again.
    const allowed = await ended(await create({ repository: 'org/open', isPublic: true }));
    assert.equal(allowed.status, 'succeeded');
    hub.commitFaults.push(400);
    await refused('hub_refused', /400.*does not accept/, { repository: 'org/refused' });
    await setToken('hf_revoked');
    await refused('hub_refused', /401.*make a new one/, { repository: 'org/second' });
    await setToken();
    const again = await ended(await create({ repository: 'org/second' }));
    assert.equal(again.status, 'succeeded', 'a failed one is queued again');

    await assert.rejects(create({ repository: 'poet' }), { code: 'invalid_repository', param: 'repository' });
    await assert.rejects(create({ exportId: 'exp-none' }), { code: 'export_not_found', param: 'export_id' });
    await deleteIntegration(services, team.id, 'huggingface', by);
    await assert.rejects(create({ repository: 'org/third' }), {
      code: 'hub_token_missing',
      message: /an admin of the team sets it/,
    });
  });

  test('what is gone when its turn comes fails; an export is not expired while it waits', async () => {
    const made = await storeExport();
    const other = await storeExport('gguf');
    const waiting = await create({ exportId: made.id });
    const deleted = await create({ exportId: other.id, repository: 'org/gguf' });
    await services.sql.query(`UPDATE adapter_exports SET expires_at = now() - interval '1 day'`);
    await expireExports(services);
    await deleteExport(services, other, by);
    start();
    assert.equal((await ended(waiting)).status, 'succeeded');
    assert.equal((await ended(deleted)).error!.code, 'export_not_found');
    assert.equal(hub.repositories.has('org/gguf'), false);
    assert.equal(await expireExports(services), 1);

    // Damaged and missing files are never published.
    const file = path.join(
      dataFolder(services.env.dataDir).artifact(version.artifact),
      'adapter_config.json',
    );
    await rm(file);
    const { status, error } = await ended(await create({ repository: 'org/damaged' }));
    assert.equal(status, 'failed');
    assert.match(error!.code, /artifact_(missing|corrupt)/);
    assert.doesNotMatch(error!.message, /\//);
    assert.equal(hub.repositories.has('org/damaged'), false);
  });

  test('a token is sent only to the Hub that it was given for, and leaves no trace', async () => {
    await assert.rejects(
      putIntegration(services, team.id, 'huggingface', { secret: token, url: 'https://example.com' }, by),
      { code: 'invalid_integration', param: 'url' },
    );
    const queued = await create();
    const evil = await PublishingHub.start();
    const moved = { ...services, env: { ...services.env, hfEndpoint: evil.endpoint } };
    sender = startPublicationSender(moved, quick);
    const { error } = await ended(queued);
    assert.equal(error!.code, 'hub_token_missing');
    assert.deepEqual(evil.requests, []);
    await sender.close();
    evil.stop();
    // Without the operator's permission no internal address is connected to.
    const closed = { ...services, env: { ...services.env, integrationAllow: [] } };
    const before = hub.requests.length;
    const second = await create({ repository: 'org/closed' });
    sender = startPublicationSender(closed, quick);
    assert.match((await failing(second)).error!.message, /GRAFT_INTEGRATION_ALLOW/);
    assert.equal(hub.requests.length, before);
    const { rows } = await services.sql.query(
      `SELECT (SELECT json_agg(p) FROM publications p)::text || (SELECT json_agg(i) FROM integrations i)::text
         || (SELECT json_agg(a) FROM audit_log a)::text AS all`,
    );
    assert.doesNotMatch(rows[0].all, new RegExp(token));
  });

  test('one at a time for each team; another team is not delayed', async () => {
    const other = await createTestTeam(services);
    await setToken(token, other);
    let running = 0;
    let most = 0;
    hub.beforeCommit = async () => {
      most = Math.max(most, ++running);
      await sleep(300);
      running--;
    };
    const own = [];
    for (let i = 0; i < 3; i++) own.push(await create({ repository: `org/own-${i}`, card: false }));
    const claimed = (
      await Promise.all([1, 2, 3].map(() => claimPublications(services, { count: 5, leaseSeconds: 0.2 })))
    ).flat();
    assert.equal(claimed.length, 1);
    await sleep(250);
    const theirVersion = await storeVersion(other);
    const theirs = await create({ versionId: theirVersion.id, repository: 'org/theirs' }, other);
    start();
    await ended(theirs);
    const open = await Promise.all(own.map(async (each) => await getPublication(services, team.id, each)));
    assert.ok(open.some((each) => each!.status !== 'succeeded'));
    for (const each of own) assert.equal((await ended(each)).status, 'succeeded');
    assert.equal(most, 2);
  });

  test('deleting one that is being sent interrupts it; closing releases it', async () => {
    let arrived = 0;
    hub.beforeCommit = async () => {
      arrived++;
      await sleep(30_000, undefined, { ref: false });
    };
    const deleted = await create();
    start();
    await until(deleted, () => arrived === 1);
    await deletePublication(services, team.id, deleted, by);
    const next = await create({ repository: 'org/next' });
    await until(next, () => arrived === 2);
    await sender!.close();
    const released = await getPublication(services, team.id, next);
    assert.deepEqual([released!.status, released!.attempts], ['queued', 0]);
    assert.equal(commits().length, 0);
  });

  test('another team sees and changes nothing', async () => {
    const other = await createTestTeam(services);
    await setToken(token, other);
    const queued = await create();
    assert.equal(await getPublication(services, other.id, queued), null);
    assert.equal(await deletePublication(services, other.id, queued, by), false);
    await assert.rejects(create({}, other), { code: 'adapter_version_not_found' });
    const { database, close } = openFenced(services);
    await withTeamScope(other.id, async () => {
      assert.equal(await database.db.publication.count(), 0);
      assert.equal((await listPublications(database, team.id, version.id, { limit: 10 })).data.length, 0);
    });
    assert.equal(await withTeamScope(team.id, async () => database.db.publication.count()), 1);
    await close();
  });
});

/** A pool's query that drops renewals of leases. */
function frozen(pool: Services['sql']): unknown {
  return async (...args: Parameters<Services['sql']['query']>) => {
    if (String(args[0]).includes('SET lease_until = now() + make_interval(secs => $4)'))
      return { rowCount: 1 };
    return await pool.query(...args);
  };
}
