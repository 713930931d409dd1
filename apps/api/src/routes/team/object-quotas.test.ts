/** Quotas of how many files, adapter versions and exports a team has, and the quotas of a new team. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../../testing/assert-error.ts';
import {
  type ApiBench,
  type Caller,
  chatLine,
  openApiBench,
  uploadForm,
} from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';
import { storeAdapter } from '../../testing/store-adapter.ts';

let bench: ApiBench;
let operator: Caller;
before(async () => {
  bench = await openApiBench();
  operator = await bench.operator();
});
after(async () => await bench?.close());

async function newTeam(quota?: object): Promise<Caller> {
  const name = `team-${Math.random().toString(36).slice(2, 10)}`;
  const { json } = await operator.send('POST', '/v1/admin/teams', { name });
  if (quota) await operator.send('POST', `/v1/admin/teams/${json.id}/quota`, quota);
  return await bench.caller({ ...bench.acme, teamId: json.id, teamName: name }, 'member');
}

const limitsOf = async (team: Caller) => {
  const { stored_bytes, files, adapters, exports } = (await team.send('GET', '/v1/team/quota')).json;
  return { stored_bytes, files, adapters, exports };
};
const announcement = { filename: 'a.jsonl', purpose: 'fine-tune', bytes: 10, mime_type: 'text/jsonl' };

test('a new team has the limits of the settings; the first team, and teams from before, have none', async () => {
  const settings = { stored_bytes: 100 * 2 ** 30, files: 10_000, adapters: 10_000, exports: 1_000 };
  const team = await newTeam();
  assert.deepEqual(await limitsOf(team), settings);
  assert.deepEqual(await limitsOf(bench.acme), {
    stored_bytes: null,
    files: null,
    adapters: null,
    exports: null,
  });
  await operator.send('POST', `/v1/admin/teams/${team.teamId}/quota`, { files: null, adapters: 3 });
  assert.deepEqual(await limitsOf(team), { ...settings, files: null, adapters: 3 });
});

test('files and pending uploads: one more is refused, also of many concurrent ones, until one is deleted', async () => {
  const team = await newTeam({ files: 3 });
  const upload = await team.send('POST', '/v1/uploads', announcement);
  const send = async () => await team.send('POST', '/v1/files', uploadForm(chatLine));
  const sent = await Promise.all(Array.from({ length: 6 }, send));
  const stored = sent.filter(({ status }) => status === 200);
  assert.equal(stored.length, 2);
  for (const refused of sent.filter(({ status }) => status !== 200)) {
    assertError(refused, 403, 'quota_exceeded');
    assert.match(
      refused.json.error.message,
      /^Quota of files: this team has 3 files and pending uploads, and 3 is/,
    );
  }
  assertError(await team.send('POST', '/v1/uploads', announcement), 403, 'quota_exceeded');
  assert.equal((await team.send('GET', '/v1/team/quota')).json.use.files, 3);
  // An announced upload counts, until it is cancelled.
  await team.send('POST', `/v1/uploads/${upload.json.id}/cancel`);
  assert.equal((await send()).status, 200);
  await team.send('DELETE', `/v1/files/${stored[0]!.json.id}`);
  assert.equal((await send()).status, 200);
});

test('adapter versions: no job is created beyond the limit, and no adapter combined; what a job trained is kept', async () => {
  const team = await newTeam({ adapters: 1 });
  const { version } = await publishAdapter(bench, team, 'poet');
  const training_file = await team.upload(chatLine);
  const refused = await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  assertError(refused, 403, 'quota_exceeded');
  assert.match(
    refused.json.error.message,
    /^Quota of adapters: this team has 1 adapter versions, deleted .* and 1 is/,
  );
  await assert.rejects(storeAdapter(bench, team, 'other'), { code: 'quota_exceeded' });
  assert.equal((await team.send('GET', '/v1/team/quota')).json.use.adapters, 1);
  assert.equal((await team.send('GET', `/v1/adapters/${version.adapterId}`)).status, 200);
});

test('exports: one more is refused until one is deleted; the same one again is none', async () => {
  const team = await newTeam({ exports: 1 });
  const { adapterId, number } = await storeAdapter(bench, team, 'poet');
  const path = `/v1/adapters/${adapterId}/versions/${number}/exports`;
  const made = await team.send('POST', path, { format: 'peft' });
  assert.equal(made.status, 200, made.text);
  assert.equal((await team.send('POST', path, { format: 'peft' })).json.id, made.json.id);
  const refused = await team.send('POST', path, { format: 'gguf-lora' });
  assertError(refused, 403, 'quota_exceeded');
  assert.match(refused.json.error.message, /^Quota of exports: this team has 1 exports that wait/);
  await team.send('DELETE', `${path}/${made.json.id}`);
  assert.equal((await team.send('POST', path, { format: 'gguf-lora' })).status, 200);
});
