/** Verbs for teams, people and keys against a real API: from the creation of a team to its deletion. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { graftIn, temporaryFolder } from '../testing/run-graft.ts';
import { startApi } from '../testing/start-api.ts';

test('a team from its first admin to its end', async (t) => {
  const folder = temporaryFolder(t);
  const service = await startApi(t, folder);
  const { graft, ok, json } = graftIn(folder, service);

  // The operator creates a team and invites its first admin, who joins; the key is saved.
  await ok(['admin', 'teams', 'create', 'research']);
  const weighed = await ok(['admin', 'teams', 'weight', 'research', '3']);
  assert.equal(weighed.stdout, 'research has the weight 3.\n');
  const invite = ['admin', 'teams', 'invite', 'research', '--email', 'lead@example.com'];
  const link = (await ok(invite)).stdout.trim();
  assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/invitations\/accept#graft_invite_\w+_\w+$/);
  const lead = { XDG_CONFIG_HOME: join(folder, 'lead') };
  const joined = await ok(['join', link, '--name', 'Lead'], lead);
  assert.match(joined.stdout, /^You are admin of team research as lead@example\.com\. Your key is saved in /);
  const profile = JSON.parse(await readFile(join(folder, 'lead/graft/profile.json'), 'utf8'));
  assert.equal(joined.stdout.includes(profile.apiKey), false);
  const used = await graft(['join', link], { XDG_CONFIG_HOME: join(folder, 'nobody') });
  assert.deepEqual([used.code, /was used or revoked/.test(used.stderr)], [1, true], used.stderr);
  const who = (await ok(['whoami'], lead)).stdout;
  assert.match(who, /^you are +admin of team research$/m);
  assert.match(who, /^person +Lead <lead@example\.com> \(user-\w+\)$/m);
  assert.match((await ok(['team', 'show'], lead)).stdout, /^team +research$/m);

  // The operator sets limits, which the lead can read.
  const limits = ['--queued-jobs', '50', '--stored-bytes', '20GB', '--methods', 'LORA,IA3'];
  const set = await json(['admin', 'teams', 'quota', 'research', ...limits]);
  assert.deepEqual([set.queued_jobs, set.stored_bytes, set.methods], [50, 20e9, ['LORA', 'IA3']]);
  const shown = (await ok(['team', 'quota'], lead)).stdout;
  assert.match(shown, /^waiting jobs +0 of 50$/m);
  assert.match(shown, /^stored +0 B of 20\.0 GB$/m);
  assert.match(shown, /^methods +LORA, IA3$/m);
  for (const [text, size] of [
    ['20KB', 20e3],
    ['20 kb', 20e3],
    ['3mb', 3e6],
    ['20GB', 20e9],
  ] as const) {
    const sized = await json(['admin', 'teams', 'quota', 'research', '--stored-bytes', text]);
    assert.equal(sized.stored_bytes, size);
  }
  const free = await json(['admin', 'teams', 'quota', 'research', '--queued-jobs', 'none']);
  assert.deepEqual([free.queued_jobs, free.methods], [null, ['LORA', 'IA3']]);
  const odd = await graft(['admin', 'teams', 'quota', 'research', '--methods', 'LORE']);
  assert.match(odd.stderr, /'methods\[0\]': must be one of "LORA", /);

  // The lead invites a person who already has a saved key of another team, which must not be lost.
  const { link: second } = await json(['team', 'invitations', 'create', '--role', 'viewer'], lead);
  // Links of earlier versions are those of the API.
  const former = second.replace('/invitations/', '/v1/invitations/');
  assert.notEqual(former, second);
  const ada = await ok(['join', former, '--email', 'Ada@example.com'], lead);
  assert.match(ada.stdout, /^graft_\w+_\w+\n$/);
  assert.match(ada.stderr, /shown only once; it was not saved, because there is another one in/);
  assert.equal((await json(['whoami'], lead)).person.email, 'lead@example.com');
  for (const wrong of [second.split('#')[0]!, second.replace('/accept', ''), `x${second}`]) {
    const refused = await graft(['join', wrong, '--email', 'x@example.com']);
    assert.deepEqual([refused.code, /not an invitation link/.test(refused.stderr)], [2, true], wrong);
  }
  const adaKey = { GRAFT_API_KEY: ada.stdout.trim() };
  const denied = await graft(['team', 'invitations', 'list'], adaKey);
  assert.equal(denied.code, 1);
  assert.match(denied.stderr, /role viewer in team research; this requires admin/);

  // Roles and keys.
  const role = await ok(['team', 'members', 'role', 'ada@example.com', 'member'], lead);
  assert.equal(role.stdout, 'ada@example.com is member now.\n');
  const make = ['team', 'keys', 'create', '--name', 'ci', '--of-team', '--expires', '90d'];
  const made = await ok([...make, '--scopes', 'files:read,keys:write'], lead);
  assert.match(made.stderr, /role member, files:read keys:write\. It expires on 20\d\d-/);
  const ci = { GRAFT_API_KEY: made.stdout.trim() };
  assert.equal((await graft(['models', 'list'], ci)).code, 1);
  const rotate = ['team', 'keys', 'rotate', made.stdout.trim(), '--overlap', '2d'];
  const rotated = (await ok(rotate, ci)).stdout.trim();
  assert.equal((await json(['files', 'list'], { GRAFT_API_KEY: rotated })).data.length, 0);
  const keys = (await ok(['team', 'keys', 'list'], lead)).stdout;
  assert.match(keys, /ci +member +team +files:read keys:write .* rotated, until 20\d\d-/);
  await ok(['team', 'keys', 'revoke', rotated], lead);
  assert.equal((await graft(['files', 'list'], { GRAFT_API_KEY: rotated })).code, 1);

  // The audit log has the actions and can be exported to a file.
  const log = await json(['team', 'audit', '--action', 'api_key.*', '--limit', '2'], lead);
  assert.deepEqual(
    log.data.map(({ action }: { action: string }) => action),
    ['api_key.revoke', 'api_key.rotate'],
  );
  const csv = join(folder, 'audit.csv');
  await ok(['team', 'audit', '--export', 'csv', '--output', csv], lead);
  assert.match(await readFile(csv, 'utf8'), /^id,created_at,action,.*\r\n\d+,\d+,[\s\S]*,member\.role,/);
  assert.equal((await graft(['team', 'audit', '--since', 'monday'], lead)).code, 2);

  // A browser session that was created with the key is listed and can be ended.
  const signIn = await fetch(`${service.GRAFT_BASE_URL}/sign-in/key`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-graft-csrf': '1' },
    body: JSON.stringify({ key: profile.apiKey }),
  });
  const [session] = (await json(['sessions', 'list'], lead)).data;
  assert.equal(session.id, ((await signIn.json()) as { id: string }).id);
  await ok(['sessions', 'end', session.id], lead);
  assert.match((await ok(['sessions', 'end', '--all'], lead)).stdout, /^Ended 0 sessions/);
  assert.equal((await graft(['sessions', 'end'], lead)).code, 2);

  // The operator disables a person, and cannot read team data with an operator key.
  await ok(['admin', 'people', 'disable', 'ada@example.com']);
  assert.equal((await graft(['whoami'], adaKey)).code, 1);
  await ok(['admin', 'people', 'enable', 'ada@example.com']);
  assert.equal((await json(['whoami'], adaKey)).role, 'member');
  const operator = {
    GRAFT_API_KEY: (await ok(['admin', 'operator-keys', 'create', '--name', 'x'])).stdout.trim(),
  };
  assert.match((await ok(['whoami'], operator)).stdout, /^you are +the operator of the service$/m);
  assert.match((await graft(['files', 'list'], operator)).stderr, /cannot read the data of a team/);
  assert.deepEqual((await json(['admin', 'workers', 'list'])).data, []);

  await ok(['team', 'members', 'remove', 'ada@example.com'], lead);
  assert.equal((await graft(['whoami'], adaKey)).code, 1);
  const last = await graft(['team', 'members', 'leave'], lead);
  assert.match(last.stderr, /last admin/);
  assert.equal((await graft(['team', 'delete', '--name', 'other'], lead)).code, 1);
  await ok(['team', 'delete', '--name', 'research'], lead);
  assert.equal((await graft(['whoami'], lead)).code, 1);
  assert.deepEqual((await json(['admin', 'teams', 'list'])).data, []);
});
