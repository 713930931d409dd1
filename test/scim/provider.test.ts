/** SCIM 2.0 as used by directories, verified with an independent compliance checker. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import {
  acceptInvitation,
  createInvitation,
  createPerson,
  findPerson,
  putMember,
  updatePerson,
} from '@graft/service/people';
import { createScimToken, revokeScimToken } from '@graft/service/scim';
import { assertError } from '../../apps/api/src/testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../../apps/api/src/testing/open-api-bench.ts';
import { queueJob } from '../../apps/api/src/testing/queue-job.ts';
import { scimTesterPython } from '../../scripts/tools/fetch-tool.ts';

let bench: ApiBench;
let token: string;
before(async () => {
  bench = await openApiBench();
  token = (await createScimToken(bench.services, { name: 'directory' })).token;
});
after(async () => await bench?.close());

async function send(method: string, path: string, body?: unknown, authorization = `Bearer ${token}`) {
  const response = await fetch(`${bench.url}/scim/v2${path}`, {
    method,
    headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/scim+json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: answers are what is tested
  const json = text === '' ? undefined : (JSON.parse(text) as any);
  return { status: response.status, type: response.headers.get('content-type'), json };
}

const schemas = ['urn:ietf:params:scim:schemas:core:2.0:User'];
const user = (userName: string, more: object = {}) => ({ schemas, userName, active: true, ...more });
const patch = (...operations: object[]) => ({
  schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
  Operations: operations,
});

/** A person provisioned by a directory, with a key and a session in the team acme. */
async function provisioned(email: string) {
  const made = await send('POST', '/Users', user(email, { externalId: `ext-${email}` }));
  assert.equal(made.status, 201, JSON.stringify(made.json));
  const personId = made.json.id as string;
  await putMember(bench.services, bench.acme.teamId, personId, 'member');
  const key = await bench.caller(bench.acme, 'member', { personId });
  const signedIn = await fetch(`${bench.url}/v1/sign-in/key`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-graft-csrf': '1' },
    body: JSON.stringify({ key: key.key }),
  });
  const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!;
  const bySession = async () => (await fetch(`${bench.url}/v1/me`, { headers: { cookie } })).status;
  const byKey = async () => (await key.send('GET', '/v1/me')).status;
  assert.deepEqual([await byKey(), await bySession()], [200, 200]);
  return { id: personId, key, byKey, bySession };
}

test('every check of scim2-tester', async (t) => {
  const args = [join(import.meta.dirname, 'check_provider.py'), `${bench.url}/scim/v2`, token];
  const { stdout } = await promisify(execFile)(await scimTesterPython(), args, { timeout: 240_000 });
  const { checks, failed } = JSON.parse(stdout) as { checks: number; failed: string[] };
  t.diagnostic(`${checks} checks`);
  assert.ok(checks > 20, stdout);
  assert.deepEqual(failed, []);
});

describe('somebody who is deactivated', () => {
  const spellings: Record<string, object> = {
    'Okta’s': { op: 'replace', value: { active: false } },
    'Entra’s': { op: 'Replace', path: 'active', value: 'False' },
    'Entra’s, by the standard': { op: 'replace', path: 'active', value: false },
    'a path with its schema': { op: 'replace', path: `${schemas[0]}:active`, value: false },
  };
  for (const [name, operation] of Object.entries(spellings)) {
    test(`in ${name} spelling: keys are refused, sessions end, jobs continue, and keys work again`, async () => {
      const one = await provisioned(`${Object.keys(spellings).indexOf(name)}@example.com`);
      const job = await queueJob(bench, one.key);
      const done = await send('PATCH', `/Users/${one.id}`, patch(operation));
      assert.deepEqual([done.status, done.json.active], [200, false], JSON.stringify(done.json));
      assert.deepEqual([await one.byKey(), await one.bySession()], [401, 401]);
      const { rows } = await bench.services.sql.query('SELECT state FROM jobs WHERE id = $1', [job]);
      assert.equal(rows[0].state, 'queued');
      const back = await send('PATCH', `/Users/${one.id}`, patch({ op: 'replace', value: { active: true } }));
      assert.equal(back.json.active, true);
      assert.deepEqual([await one.byKey(), await one.bySession()], [200, 401]);
    });
  }

  test('by PUT, and a PUT that does not speak of it lets nobody in', async () => {
    const one = await provisioned('put@example.com');
    await send('PUT', `/Users/${one.id}`, { ...user('put@example.com'), active: false });
    assert.equal(await one.byKey(), 401);
    const quiet = await send('PUT', `/Users/${one.id}`, { schemas, userName: 'put@example.com' });
    assert.deepEqual([quiet.json.active, await one.byKey()], [false, 401]);
  });

  test('by the operator is enabled by the operator alone', async () => {
    const one = await provisioned('manual@example.com');
    await updatePerson(bench.services, one.id, { isDisabled: true });
    for (const active of [false, true])
      await send('PATCH', `/Users/${one.id}`, patch({ op: 'replace', path: 'active', value: active }));
    assert.equal(await one.byKey(), 401);
    await updatePerson(bench.services, one.id, { isDisabled: false });
    assert.equal(await one.byKey(), 200);
  });

  test('and enabled by hand is disabled as soon as the directory says so again', async () => {
    const one = await provisioned('again@example.com');
    const deactivate = () =>
      send('PATCH', `/Users/${one.id}`, patch({ op: 'replace', value: { active: false } }));
    await deactivate();
    await updatePerson(bench.services, one.id, { isDisabled: false });
    assert.equal(await one.byKey(), 200);
    await deactivate();
    assert.equal(await one.byKey(), 401);
  });

  test('and deleted: keys are revoked for good', async () => {
    const one = await provisioned('gone@example.com');
    assert.equal((await send('DELETE', `/Users/${one.id}`)).status, 204);
    assert.equal((await send('GET', `/Users/${one.id}`)).status, 404);
    assert.equal((await send('DELETE', `/Users/${one.id}`)).status, 404);
    assert.equal(await one.byKey(), 401);
    const again = await send('POST', '/Users', user('gone@example.com'));
    assert.deepEqual([again.json.id, await one.byKey()], [one.id, 401]);
    assert.equal((await findPerson(bench.services, one.id))!.disabledAt, null);
  });
});

test('a directory sees nobody but its own, finds them by what they are known as, and pages', async () => {
  await createPerson(bench.services, { email: 'local@example.com', name: 'Local' });
  await send('POST', '/Users', user('Ann@Example.com', { externalId: 'A-1' }));
  const find = async (filter: string) =>
    (await send('GET', `/Users?filter=${encodeURIComponent(filter)}`)).json.totalResults;
  assert.equal(await find('userName eq "local@example.com"'), 0);
  assert.equal(await find('userName eq "aNN@example.com"'), 1);
  assert.equal(await find('externalId eq "A-1"'), 1);
  assert.equal(await find('externalId eq "a-1"'), 0);
  assert.equal(await find('emails[type eq "work"].value eq "ann@example.com"'), 1);
  const page = (await send('GET', '/Users?startIndex=1&count=1')).json;
  assert.deepEqual([page.Resources.length, page.itemsPerPage, page.startIndex], [1, 1, 1]);
  assert.ok(page.totalResults > 1);
  const most = (await send('GET', '/Users?count=100000')).json;
  assert.ok(most.itemsPerPage <= 200);
  for (const filter of [
    'userName co "a"',
    'userName eq "a" or active eq true',
    'x',
    'password eq "x"',
    'userName eq "a\nb"',
    '__proto__ eq "x"',
    'constructor eq "x"',
  ]) {
    const refused = await send('GET', `/Users?filter=${encodeURIComponent(filter)}`);
    assert.deepEqual([refused.status, refused.json.scimType], [400, 'invalidFilter'], filter);
  }
});

test('keys that were made for an email before the directory vouched for it end', async () => {
  const { services, acme } = bench;
  const open = await createInvitation(services, acme.teamId, { email: null, role: 'admin' }, null);
  const taken = await acceptInvitation(services, open.token, { email: 'victim@example.com' });
  const thief = bench.withKey(acme, taken.key);
  assert.equal((await thief.send('GET', '/v1/me')).status, 200);
  const made = await send('POST', '/Users', user('victim', { emails: [{ value: 'victim@example.com' }] }));
  assert.equal(made.json.id, taken.person.id);
  assertError(await thief.send('GET', '/v1/me'), 401, 'invalid_api_key');
});

test('wrong tokens, keys and bodies are refused as SCIM has it', async () => {
  const operator = await bench.operator();
  for (const wrong of [
    '',
    `Bearer ${operator.key}`,
    `Bearer ${bench.acme.key}`,
    `Bearer ${token.slice(0, -1)}`,
  ]) {
    const refused = await send('GET', '/Users', undefined, wrong);
    assert.deepEqual([refused.status, refused.json.status], [401, '401']);
    assert.match(refused.type!, /^application\/scim\+json/);
  }
  const withOldKey = await bench.withKey(bench.acme, token).send('GET', '/v1/me');
  assertError(withOldKey, 401, 'invalid_api_key');
  const twice = await send('POST', '/Users', user('twice@example.com'));
  const again = await send('POST', '/Users', user('TWICE@example.com'));
  assert.deepEqual([again.status, again.json.scimType], [409, 'uniqueness']);
  const bodies: [string, string, unknown][] = [
    ['POST', '/Users', user('no email')],
    ['POST', '/Users', { schemas }],
    ['POST', '/Users', []],
    ['POST', '/Users', user('x@example.com', { active: 'maybe' })],
    ['POST', '/Users', user('x@example.com', { emails: Array(11).fill({ value: 'a@b.de' }) })],
    ['POST', '/Users', user('x'.repeat(255))],
    ['PATCH', `/Users/${twice.json.id}`, patch()],
    ['PATCH', `/Users/${twice.json.id}`, patch({ op: 'destroy', path: 'active' })],
    ['PATCH', `/Users/${twice.json.id}`, patch({ op: 'remove', path: 'userName' })],
    ['PATCH', `/Users/${twice.json.id}`, patch({ op: 'replace', path: 'active', value: 7 })],
    ['PATCH', `/Users/${twice.json.id}`, patch({ op: 'replace', value: 'x' })],
  ];
  for (const [method, path, body] of bodies) {
    const refused = await send(method, path, body);
    assert.deepEqual([refused.status, refused.json.status], [400, '400'], JSON.stringify(body));
  }
  assert.equal((await send('PATCH', '/Users/user-none', patch({ op: 'remove', path: 'name' }))).status, 404);
  // Names of properties that every object inherits are not attributes of a person.
  const odd = patch(
    { op: 'replace', path: '__proto__', value: 'x' },
    { op: 'add', path: 'constructor', value: 'x' },
  );
  assert.equal((await send('PATCH', `/Users/${twice.json.id}`, odd)).status, 200);
  assert.equal((await send('POST', '/Users/.search', { attributes: 5 })).status, 200);
  const brief = await createScimToken(bench.services, { name: 'brief' });
  assert.equal((await send('GET', '/Users', undefined, `Bearer ${brief.token}`)).status, 200);
  await revokeScimToken(bench.services, brief.record.id);
  assert.equal((await send('GET', '/Users', undefined, `Bearer ${brief.token}`)).status, 401);
});
