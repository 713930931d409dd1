/** `graft admin` against a real API, with operator keys, and its verbs that access the database. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Services } from '@graft/service/services';
import { createTestDatabase, openTestServices } from '@graft/service/testing';
import { registerWorker } from '@graft/service/workers';
import { graftIn, runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { type ApiEnvironment, startApi } from '../testing/start-api.ts';

let services: Services;
let env: ApiEnvironment;
let operator: string;
let run: ReturnType<typeof graftIn>;
const ends: (() => unknown)[] = [];
before(async () => {
  services = await openTestServices();
  const file = { after: (end: () => unknown) => void ends.push(end) } as never;
  const folder = temporaryFolder(file);
  const place = { DATABASE_URL: services.databaseUrl, GRAFT_DATA_DIR: services.env.dataDir };
  env = await startApi(file, folder, { place });
  operator = idOf(env.GRAFT_OPERATOR_KEY);
  run = graftIn(folder, env);
});
after(async () => {
  for (const end of ends.toReversed()) await end();
  await services?.close();
});

const idOf = (key: string) => key.split('_').slice(1, -1).join('_');

/** The actors of an action on a target, as recorded in the audit log. */
async function actorsOf(action: string, target?: string) {
  const where = { action, ...(target === undefined ? {} : { target }) };
  const rows = await services.db.auditEntry.findMany({ where, orderBy: { id: 'asc' } });
  return rows.map(({ keyId, system }) => keyId ?? system);
}

/** Runs a command and returns its exit code and message. */
async function refusal(args: string[], more: Record<string, string> = {}): Promise<[number | null, string]> {
  const { code, stderr } = await run.graft(args, more);
  return [code, stderr];
}

test('bootstrap creates the first key of the operator alone, rescue one at any time, also on an empty database', async () => {
  const [code, message] = await refusal(['admin', 'bootstrap']);
  assert.deepEqual([code, /An operator key exists already.*graft admin rescue/.test(message)], [1, true]);
  assert.deepEqual(await actorsOf('operator_key.create', operator), ['graft_admin']);

  const rescued = await run.ok(['admin', 'rescue', '--name', 'lost', '--expires', '1h']);
  const key = rescued.stdout.trim();
  assert.match(key, /^graft_op_\w+_\w+$/);
  assert.match(rescued.stderr, /shown only once: set GRAFT_OPERATOR_KEY/);
  assert.match(
    (await run.ok(['admin', 'operator-keys', 'list'], { GRAFT_OPERATOR_KEY: key })).stdout,
    /^op_\w+ +lost +service +\S.* valid until /m,
  );

  const database = await createTestDatabase();
  ends.push(() => database.drop());
  const place = { DATABASE_URL: database.url, GRAFT_DATA_DIR: services.env.dataDir };
  const first = await runGraft(['admin', 'rescue', '--json'], { env: place });
  assert.deepEqual([first.code, JSON.parse(first.stdout).name], [0, 'rescue'], first.stderr);
  const second = await runGraft(['admin', 'bootstrap'], { env: place });
  assert.equal(second.code, 1);
  const unknownPerson = await runGraft(['admin', 'rescue', '--person', 'x@example.com'], { env: place });
  assert.deepEqual(
    [unknownPerson.code, /There is no person x@example\.com/.test(unknownPerson.stderr)],
    [1, true],
  );
});

test('a key of a team, a revoked key, no key and no API are refused with what to do', async () => {
  const list = ['admin', 'teams', 'list'];
  await run.ok(['admin', 'teams', 'create', 'refused']);
  const create = ['admin', 'keys', 'create', '--team', 'refused', '--role', 'admin'];
  for (const limits of [[], ['--scopes', 'files:read', '--models', 'tiny']]) {
    const teamKey = (await run.ok([...create, ...limits])).stdout.trim();
    const [code, message] = await refusal(list, { GRAFT_OPERATOR_KEY: '', GRAFT_API_KEY: teamKey });
    assert.equal(code, 1);
    assert.match(message, /^graft: This requires an operator key: .*graft admin bootstrap/m);
  }
  // An operator key also works where it is the only key.
  await run.ok(list, { GRAFT_OPERATOR_KEY: '', GRAFT_API_KEY: env.GRAFT_OPERATOR_KEY });

  const revoked = (await run.ok(['admin', 'operator-keys', 'create', '--name', 'x'])).stdout.trim();
  await run.ok(['admin', 'operator-keys', 'revoke', revoked]);
  assert.deepEqual(await actorsOf('operator_key.revoke', idOf(revoked)), [operator]);
  const [dead, reason] = await refusal(list, { GRAFT_OPERATOR_KEY: revoked });
  assert.equal(dead, 1);
  assert.match(reason, /wrong, expired or revoked\. Set GRAFT_OPERATOR_KEY .*graft admin rescue/);
  const again = await refusal(['admin', 'operator-keys', 'revoke', revoked]);
  assert.match(again[1], /There is no valid key op_\w+\. `graft admin operator-keys list` shows them/);

  const none = await refusal(list, { GRAFT_OPERATOR_KEY: '' });
  assert.equal(none[0], 2);
  assert.match(none[1], /No operator key for http.*GRAFT_OPERATOR_KEY.*graft admin bootstrap/);
  const nowhere = await refusal([...list, '--base-url', 'http://127.0.0.1:9/v1']);
  assert.equal(nowhere[0], 1);
  assert.match(nowhere[1], /^graft: Cannot reach http:\/\/127\.0\.0\.1:9\/v1: .*npm start/m);
});

test('login saves a key of the operator beside one of a team, and each verb takes its own', async () => {
  const teamKey = (await run.json(['admin', 'keys', 'create', '--team', await team('saved')])).key;
  const saved = { GRAFT_OPERATOR_KEY: '', XDG_CONFIG_HOME: services.env.dataDir };
  for (const stdin of [env.GRAFT_OPERATOR_KEY, teamKey]) {
    const login = await runGraft(['login'], { env: { ...env, ...saved }, stdin });
    assert.equal(login.code, 0, login.stderr);
  }
  assert.match((await run.ok(['whoami'], saved)).stdout, /^you are +member of team saved$/m);
  await run.ok(['admin', 'teams', 'list'], saved);
  // A key in the environment takes precedence over a saved one.
  assert.equal((await run.graft(['admin', 'teams', 'list'], { ...saved, GRAFT_OPERATOR_KEY: 'x' })).code, 1);
});

test('keys of a team: created within the life of the operator’s key, listed, revoked with it', async () => {
  const name = await team('keyed');
  const { key: limited } = await run.json([
    'admin',
    'operator-keys',
    'create',
    '--name',
    'x',
    '--expires',
    '1h',
  ]);
  const as = { GRAFT_OPERATOR_KEY: limited };
  const create = ['admin', 'keys', 'create', '--team', name];
  const made = await run.json([...create, '--name', 'ci', '--role', 'viewer', '--scopes', 'files:read'], as);
  assert.deepEqual([made.key_id, made.team, made.role, made.name], [made.id, name, 'viewer', 'ci']);
  assert.deepEqual([made.scopes, made.expires_at !== null], [['files:read'], true]);
  assert.deepEqual(await actorsOf('api_key.create', made.id), [idOf(limited)]);
  const longer = await refusal([...create, '--expires', '2h'], as);
  assert.match(longer[1], /A key ends no later than the one that makes it/);
  assert.match((await refusal([...create, '--scopes', 'x:y']))[1], /x:y/);
  assert.match((await refusal(['admin', 'keys', 'create', '--team', 'none']))[1], /There is no team none\./);

  const other = await run.json([...create, '--name', 'mine']);
  const { data } = await run.json(['admin', 'keys', 'list', '--team', name]);
  assert.deepEqual(
    data.map((key: { id: string; team: string }) => [key.id, key.team]),
    [
      [other.id, name],
      [made.id, name],
    ],
  );
  assert.match(
    (await run.ok(['admin', 'keys', 'list'])).stdout,
    /^\w+ +keyed +ci +viewer +\S+ .* never +valid until /m,
  );
  await run.ok(['files', 'list'], { GRAFT_API_KEY: made.key });
  await run.ok(['admin', 'operator-keys', 'revoke', limited]);
  assert.equal((await run.graft(['files', 'list'], { GRAFT_API_KEY: made.key })).code, 1);
  await run.ok(['files', 'list'], { GRAFT_API_KEY: other.key });
  assert.equal(
    (await run.ok(['admin', 'keys', 'revoke', other.key])).stdout,
    `Revoked ${other.id} of team keyed.\n`,
  );
  assert.deepEqual(await actorsOf('api_key.revoke', other.id), [operator]);
  assert.match((await refusal(['admin', 'keys', 'revoke', 'none']))[1], /There is no valid key none\./);
});

test('people: created, joined, removed, erased, each by the operator’s key', async () => {
  const name = await team('peopled');
  const create = ['admin', 'people', 'create', 'Ada@example.com', '--name', 'Ada'];
  const ada = await run.json(create);
  assert.equal(ada.email, 'ada@example.com');
  assert.match((await refusal(create))[1], /There is a person of the email ada@example\.com/);
  assert.match(
    (await run.ok(['admin', 'people', 'list'])).stdout,
    /^user-\w+ +Ada +ada@example\.com .*active$/m,
  );
  assert.match((await run.ok(['admin', 'people', 'identities', ada.id])).stdout, /^None: this person/);
  assert.match(
    (await refusal(['admin', 'people', 'unlink', ada.id, 'ident-x']))[1],
    /has no identity ident-x/,
  );

  const remove = ['admin', 'people', 'remove', 'ada@example.com', '--team', name];
  assert.match((await refusal(remove))[1], /ada@example\.com is not a member of team peopled\./);
  const join = ['admin', 'people', 'join', 'ADA@example.com', '--team', name, '--role'];
  assert.deepEqual(await run.json([...join, 'admin']), {
    person_id: ada.id,
    email: 'ada@example.com',
    team: name,
    role: 'admin',
  });
  assert.match((await refusal([...join, 'viewer']))[1], /last admin/);
  assert.match((await refusal(remove))[1], /last admin/);
  const key = await run.json(['admin', 'keys', 'create', '--team', name, '--person', 'ada@example.com']);
  assert.equal(key.person_id, ada.id);
  assert.deepEqual(await actorsOf('member.add', ada.id), [operator]);

  const made = await run.ok(['admin', 'people', 'operator', ada.id]);
  assert.equal(made.stdout, 'ada@example.com may operate the service.\n');
  const hers = ['admin', 'operator-keys', 'create', '--name', 'hers', '--person', 'ada@example.com'];
  assert.equal((await run.json(hers)).person_id, ada.id);
  await run.ok(['admin', 'people', 'no-operator', ada.id]);
  assert.match((await refusal(hers))[1], /is no person who operates this service/);
  const erase = ['admin', 'people', 'erase', ada.id, '--email'];
  assert.match((await refusal([...erase, 'x@example.com']))[1], /Nobody was erased/);
  assert.deepEqual(await run.json([...erase, 'ada@example.com']), { person_id: ada.id, erased: true });
  assert.match((await refusal(remove))[1], /There is no person ada@example\.com/);
  assert.deepEqual(await actorsOf('person.erase', ada.id), [operator]);
});

test('workers are listed with what they report of their machines, quarantined and released', async () => {
  const worker = { address: null, hostname: 'train-1', pid: 1, slots: 1 };
  await registerWorker(services, { ...worker, id: 'earlier' });
  const flops = { fp32: 2e11 };
  const capabilities = {
    device: 'cpu' as const,
    threads: 2,
    precisions: ['fp32'] as ['fp32'],
    memoryBytes: 14.2e9,
    flops,
  };
  await registerWorker(services, { ...worker, id: 'known', capabilities });
  const { stdout } = await run.ok(['admin', 'workers', 'list']);
  assert.match(stdout, /^known +train-1 +cpu +14\.2 GB +0 of 1 .*in service$/m);
  assert.match(stdout, /^earlier +train-1 +0 of 1 /m);
  const { data } = await run.json(['admin', 'workers', 'list']);
  assert.deepEqual(
    data.map((row: Record<string, unknown>) => [row.id, row.memory_bytes, row.flops]),
    [
      ['known', 14.2e9, flops],
      ['earlier', null, null],
    ],
  );
  const out = await run.json(['admin', 'workers', 'quarantine', 'known', '--reason', 'new disk']);
  assert.equal(out.quarantine_reason, 'new disk');
  assert.match((await run.ok(['admin', 'workers', 'list'])).stdout, /^known .*out of service: new disk$/m);
  assert.equal((await run.ok(['admin', 'workers', 'release', 'known'])).stdout, 'known gets jobs again.\n');
  assert.deepEqual(await actorsOf('worker.release', 'known'), [operator]);
  assert.match((await refusal(['admin', 'workers', 'release', 'none']))[1], /There is no worker none\./);
});

test('base models: listed sources by the API, any by the database, teams by their names', async () => {
  const folder = join(services.env.dataDir, 'model');
  await mkdir(folder);
  const name = await team('modelled');
  const verb = (name: string, ...args: string[]) => ['admin', 'base-models', name, ...args];
  const [code, message] = await refusal(verb('add', 'ours', '--folder', folder));
  assert.equal(code, 1);
  assert.match(message, /GRAFT_BASE_MODEL_SOURCES, or use `graft admin base-models add-unlisted`/);
  const added = await run.ok(verb('add-unlisted', 'ours', '--folder', folder, '--teams', name));
  assert.equal(added.stdout, 'ours is queued. Its progress: graft admin base-models show ours\n');
  assert.deepEqual(await actorsOf('base_model.add', 'ours'), ['graft_admin']);
  const shown = await run.json(verb('show', 'ours'));
  assert.deepEqual([shown.source, shown.location, shown.limited], ['folder', folder, true]);
  assert.match((await run.ok(verb('show', 'ours'))).stdout, new RegExp(`^source +folder ${folder}$`, 'm'));
  assert.match((await run.ok(verb('list'))).stdout, /^ours +folder .* team-\w+$/m);
  assert.equal((await run.ok(verb('allow', 'ours', '--everyone'))).stdout, 'Teams that can use ours: all.\n');
  assert.match(
    (await run.ok(verb('deny', 'ours', name))).stdout,
    /^Teams that can use ours: all but team-\w+\.$/m,
  );
  assert.match((await refusal(verb('deny', 'ours', 'none')))[1], /There is no team none\./);
  assert.equal((await run.graft(verb('allow', 'ours'))).code, 2);
  assert.equal((await run.json(verb('hide', 'ours'))).hidden, true);
  assert.equal((await run.ok(verb('unhide', 'ours'))).stdout, 'ours is shown again.\n');
  assert.match((await refusal(verb('show', 'none')))[1], /There is no such base model: none\./);

  assert.equal((await run.ok(verb('forget', 'ours'))).stdout, 'ours was never used.\n');
  await services.db.baseModel.create({ data: { id: 'ours', digest: 'a'.repeat(64) } });
  assert.equal((await run.json(verb('forget', 'ours'))).forgotten, true);
  assert.deepEqual(await actorsOf('base_model.forget', 'ours'), [operator]);
  assert.equal((await run.json(verb('remove', 'ours'))).removed, true);
});

test('secrets and tokens of directories are made in the database, without a key', async () => {
  const bare = { GRAFT_OPERATOR_KEY: '', GRAFT_BASE_URL: 'http://127.0.0.1:9/v1' };
  const rotated = await run.json(['admin', 'secrets', 'rotate'], bare);
  assert.deepEqual(rotated.made, [{ setting: 'GRAFT_PEPPER', version: 2 }]);
  const status = (await run.ok(['admin', 'secrets', 'status'], bare)).stdout;
  assert.match(status, /^GRAFT_PEPPER +2 +current +0 /m);
  assert.match(status, /^GRAFT_PEPPER +1 +held /m);
  // The key is rehashed with the current version when it is used.
  await run.ok(['admin', 'teams', 'list']);
  assert.match((await refusal(['admin', 'secrets', 'drop', 'x'], bare))[1], /A version is a number/);

  const token = (await run.json(['admin', 'scim', 'create', '--name', 'entra'], bare)).id;
  assert.match((await run.ok(['admin', 'scim', 'list'], bare)).stdout, /^scim_\w+ +entra +never +valid$/m);
  assert.equal((await run.ok(['admin', 'scim', 'revoke', token], bare)).stdout, `Revoked ${token}.\n`);
  assert.match((await refusal(['admin', 'scim', 'revoke', token], bare))[1], /There is no valid token scim_/);
});

test('verify passes an untouched audit log, and names what was changed or cut off since its head was kept', async () => {
  const { id } = await run.json(['admin', 'teams', 'create', 'audited']);
  await services.db.auditEntry.createMany({
    data: ['a', 'b', 'c'].map((target) => ({ teamId: id, action: 'x', target })),
  });
  const heads = (await run.json(['admin', 'audit', 'heads'])).data;
  const { sequence, hash } = heads.find((head: { id: string }) => head.id === id);
  const verify = ['admin', 'audit', 'verify'];
  const verifyHead = [...verify, '--chain', id, '--head', `${sequence}:${hash}`];
  assert.match((await run.ok(verify)).stdout, new RegExp(`${id} +${sequence} +unchanged`));
  await run.ok(verifyHead);
  assert.match((await refusal([...verify, '--chain', 'team-none']))[1], /There is no chain team-none/);

  // An attacker who owns the tables truncates the chain and repairs its head.
  await services.sql.query(
    `ALTER TABLE audit_log DISABLE TRIGGER USER; ALTER TABLE audit_chains DISABLE TRIGGER USER;
     DELETE FROM audit_log WHERE team_id = '${id}' AND sequence = ${sequence};
     UPDATE audit_chains SET (sequence, hash) = (SELECT sequence, hash FROM audit_log
       WHERE team_id = '${id}' AND sequence = ${sequence - 1}) WHERE chain = '${id}';`,
  );
  await run.ok(verify);
  const cut = await refusal(verifyHead);
  assert.equal(cut[0], 1);
  assert.match(cut[1], new RegExp(`first broken entry of ${id} is number ${sequence}`));
  await services.sql.query(`UPDATE audit_log SET target = 'forged' WHERE team_id = '${id}' AND sequence = 2`);
  const forged = await refusal(verify);
  assert.equal(forged[0], 1);
  assert.match(forged[1], /number 2 \(changed\)/);
});

/** Creates a team of this name. */
async function team(name: string): Promise<string> {
  await run.ok(['admin', 'teams', 'create', name]);
  return name;
}
