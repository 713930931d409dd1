import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { listAudit } from '@graft/service/audit';
import { createApiKey } from '@graft/service/keys';
import { createPerson, putMember } from '@graft/service/people';
import { signInPerson } from '@graft/service/sessions';
import { filesOf, sendAdapter, soundAdapter } from '../../testing/adapter-parts.ts';
import { assertError } from '../../testing/assert-error.ts';
import {
  type ApiBench,
  answerOf,
  type Caller,
  chatLine,
  openApiBench,
  uploadForm,
} from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let admin: Caller;
let stranger: Caller;
before(async () => {
  bench = await openApiBench();
  admin = await bench.caller(bench.acme, 'admin');
  stranger = await bench.caller(bench.other, 'admin');
  const keys = Array.from(
    { length: 1_200 },
    (_, i) => `($1, 'k${i % 2}', 'test.row', 'row-${i}', '{"a":"=1,\\"x\\""}')`,
  );
  await bench.services.sql.query(
    `INSERT INTO audit_log (team_id, key_id, action, target, detail) VALUES ${keys.join(',')}`,
    [bench.acme.teamId],
  );
});
after(async () => await bench?.close());

test('an admin lists the team’s log by the page, filtered; nobody else does', async () => {
  const page = (await admin.send('GET', '/v1/audit?action=test.*&limit=2')).json;
  assert.deepEqual(
    page.data.map(({ target }: { target: string }) => target),
    ['row-1199', 'row-1198'],
  );
  assert.deepEqual(page.data[0], {
    id: page.first_id,
    object: 'audit.entry',
    created_at: page.data[0].created_at,
    action: 'test.row',
    target: 'row-1199',
    key_id: 'k1',
    person_id: null,
    system: null,
    detail: { a: '=1,"x"' },
    sequence: page.data[1].sequence + 1,
    hash: page.data[0].hash,
  });
  assert.match(page.data[0].hash, /^[0-9a-f]{64}$/);
  const next = (await admin.send('GET', `/v1/audit?action=test.row&limit=2&after=${page.last_id}`)).json;
  assert.equal(next.data[0].target, 'row-1197');
  const one = async (query: string) =>
    (await admin.send('GET', `/v1/audit?limit=1000&${query}`)).json.data.length;
  assert.equal(await one('actor=k0'), 600);
  assert.equal(await one('target=row-7'), 1);
  const now = Math.floor(Date.now() / 1000);
  assert.equal(await one(`since=${now + 60}`), 0);
  assert.equal(await one(`action=test.row&until=${now - 86_400}`), 0);
  assert.equal((await stranger.send('GET', '/v1/audit?action=test.*')).json.data.length, 0);
  assertError(await bench.acme.send('GET', '/v1/audit'), 403, 'insufficient_role');
  assertError(await admin.send('GET', '/v1/audit?after=x'), 400, 'invalid_cursor', 'after');
});

test('an export has all, oldest first, in lines or as CSV that no spreadsheet runs', async () => {
  const lines = await admin.send('GET', '/v1/audit/export?action=test.row');
  assert.equal(lines.headers.get('content-type'), 'application/x-ndjson');
  const rows = lines.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(rows.length, 1200);
  assert.deepEqual([rows[0].target, rows.at(-1).target], ['row-0', 'row-1199']);
  const rest = await admin.send('GET', `/v1/audit/export?action=test.row&after=${rows[1198].id}`);
  assert.equal(rest.text.trimEnd().split('\n').length, 1);
  const csv = await admin.send('GET', '/v1/audit/export?format=csv&limit=3&action=test.row');
  const cells = csv.text.trimEnd().split('\r\n');
  assert.equal(cells.length, 4);
  assert.match(cells[1]!, /^\d+,\d+,test\.row,row-0,k0,,"\{""a"":""=1,\\""x\\""""\}",,\d+,[0-9a-f]{64}$/);
  assert.equal((await stranger.send('GET', '/v1/audit/export?action=test.row')).text, '');
  assertError(await admin.send('GET', '/v1/audit/export?limit=100001'), 400, 'invalid_value', 'limit');
  assertError(await admin.send('GET', '/v1/audit/export?after=x'), 400, 'invalid_cursor', 'after');
});

/** A caller that sends these headers, as a browser does with its cookie and a program with its key. */
function callerWith(headers: Record<string, string>): Caller {
  const { teamId, teamName } = bench.acme;
  const send: Caller['send'] = async (method, path, body, more = {}) => {
    const isForm = body instanceof FormData;
    const type = body === undefined || isForm ? {} : { 'content-type': 'application/json' };
    const content = body === undefined || isForm ? body : JSON.stringify(body);
    const init = { method, headers: { ...headers, ...type, ...more }, ...(content ? { body: content } : {}) };
    return await answerOf(await fetch(bench.url + path, init));
  };
  const upload = async (lines: string) => (await send('POST', '/v1/files', uploadForm(lines))).json.id;
  return { teamId, teamName, key: '', send, upload };
}

/** Performs every recorded action of a member, each on a separate resource. Returns the actions of the entries. */
async function doEverything(by: Caller, name: string): Promise<void> {
  const done = async (method: string, path: string, body?: unknown) => {
    const answer = await by.send(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
    return answer.json;
  };
  const uploaded = await sendAdapter(by, filesOf(await soundAdapter(bench)), { name });
  assert.equal(uploaded.status, 200, uploaded.text);
  const adapter = `/v1/adapters/${uploaded.json.adapter_id}`;
  await done('POST', `${adapter}/note`, { note: 'n' });
  await done('POST', `${adapter}/versions/1/note`, { note: 'n' });
  await done('POST', `${adapter}/tags`, { tag: 'production', version: 1 });
  await done('DELETE', `${adapter}/tags/production`);
  await done('DELETE', `${adapter}/versions/1`);
  await done('POST', `${adapter}/versions/1/restore`);
  await done('DELETE', adapter);
  const file = await by.upload(chatLine);
  const job = await done('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file: file });
  await done('POST', `/v1/fine_tuning/jobs/${job.id}/cancel`);
  await done('DELETE', `/v1/files/${file}`);
  const about = { filename: 'x.jsonl', purpose: 'fine-tune', bytes: 3, mime_type: 'text/plain' };
  const upload = await done('POST', '/v1/uploads', about);
  await done('POST', `/v1/uploads/${upload.id}/cancel`);
  const hook = await done('POST', '/v1/webhooks', { url: 'https://example.com/' });
  await done('POST', `/v1/webhooks/${hook.id}`, { enabled: false });
  await done('POST', `/v1/webhooks/${hook.id}/rotate_secret`, {});
  await done('DELETE', `/v1/webhooks/${hook.id}`);
  const key = await done('POST', '/v1/team/keys', { name: 'x' });
  await done('DELETE', `/v1/team/keys/${key.id}`);
  const invitation = await done('POST', '/v1/team/invitations', { email: `${name}@example.com` });
  await done('DELETE', `/v1/team/invitations/${invitation.id}`);
}

test('every entry names who acted: the person without a key, the person and the key, the team’s key', async () => {
  const { services, acme } = bench;
  const person = await createPerson(services, { email: 'ada@example.com', name: 'Ada' });
  await putMember(services, acme.teamId, person.id, 'admin');
  const { token } = await signInPerson(
    services,
    { issuer: 'https://id.example', subject: 'ada', email: 'ada@example.com', name: 'Ada', groups: [] },
    { teams: [], operatorGroups: [] },
    {
      idleSeconds: 600,
      seconds: 600,
      keyLapseDays: 0,
      flowId: 'flow-audit',
      team: 'acme',
      userAgent: undefined,
    },
  );
  const own = await createApiKey(services, acme.teamId, { name: 'o', role: 'admin', personId: person.id });
  const teamKey = await createApiKey(services, acme.teamId, { name: 't', role: 'admin' });
  const callers = [
    ['session', { cookie: `graft_session=${token}`, 'x-graft-csrf': '1' }, null, person.id],
    ['own', { authorization: `Bearer ${own.key}` }, own.keyId, person.id],
    ['team', { authorization: `Bearer ${teamKey.key}` }, teamKey.keyId, null],
  ] as const;
  for (const [name, headers, keyId, personId] of callers) {
    const [newest] = (await listAudit(services, acme.teamId, { limit: 1 })).data;
    await doEverything(callerWith(headers), name);
    const { data } = await listAudit(services, acme.teamId, { limit: 100 });
    const entries = data.filter(({ id }) => BigInt(id) > BigInt(newest!.id));
    assert.ok(entries.length >= 20, `${entries.length} entries`);
    for (const entry of entries)
      assert.deepEqual([entry.keyId, entry.personId, entry.system], [keyId, personId, null], entry.action);
  }
});
