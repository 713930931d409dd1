/** Downloads in the audit log: before the first byte, once for all ranges and repetitions of an actor. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createDownloadAudit } from '@graft/service/audit';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { storeAdapter } from '../testing/store-adapter.ts';
import { writeNextExport } from '../testing/write-export.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

async function entriesOf(target: string) {
  const { rows } = await bench.services.sql.query(
    'SELECT team_id, key_id, action, detail FROM audit_log WHERE target = $1 AND action LIKE $2 ORDER BY id',
    [target, '%.download'],
  );
  return rows;
}

const keyIdOf = (caller: Caller) => caller.key.split('_')[1];

test('a file: ranges and repetitions of one key are one entry, those of another key another; HEAD and 304 none', async () => {
  const { acme } = bench;
  const id = await acme.upload(chatLine);
  const path = `/v1/files/${id}/content`;
  const head = await fetch(bench.url + path, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${acme.key}` },
  });
  const etag = head.headers.get('etag')!;
  assert.equal((await acme.send('GET', path, undefined, { 'if-none-match': etag })).status, 304);
  assert.deepEqual(await entriesOf(id), []);

  const ranges = ['bytes=0-9', 'bytes=10-19', 'bytes=20-'].map((range) =>
    acme.send('GET', path, undefined, { range }),
  );
  const parts = await Promise.all(ranges);
  assert.equal(parts.map(({ text }) => text).join(''), chatLine);
  await acme.send('GET', path);
  const detail = { bytes: chatLine.length, sha256: createHash('sha256').update(chatLine).digest('hex') };
  const entry = { team_id: acme.teamId, key_id: keyIdOf(acme), action: 'file.download', detail };
  assert.deepEqual(await entriesOf(id), [entry]);

  const colleague = await bench.caller(acme, 'viewer');
  await colleague.send('GET', path);
  assert.deepEqual(await entriesOf(id), [entry, { ...entry, key_id: keyIdOf(colleague) }]);
  // An admin reads and exports them as all others.
  const admin = await bench.caller(acme, 'admin');
  const listed = (await admin.send('GET', '/v1/audit?action=file.download')).json.data;
  assert.equal(listed.length, 2);
  assert.match((await admin.send('GET', '/v1/audit/export')).text, /"file\.download"/);
});

test('an adapter, and a single file and all files of an export', async () => {
  const { acme } = bench;
  const version = await storeAdapter(bench, acme, 'poet');
  const path = `/v1/adapters/${version.adapterId}/versions/${version.number}`;
  const tar = await acme.send('GET', `${path}/download`);
  const [entry] = await entriesOf(version.id);
  assert.deepEqual(entry.detail, {
    bytes: Number(tar.headers.get('content-length')),
    sha256: tar.headers.get('x-content-sha256'),
  });
  const made = await acme.send('POST', `${path}/exports`, { format: 'peft' });
  await writeNextExport(bench, { 'a.bin': randomBytes(100), 'b.bin': randomBytes(100) });
  await acme.send('GET', `${path}/exports/${made.json.id}/download?path=a.bin`);
  await acme.send('GET', `${path}/exports/${made.json.id}/download`);
  const exported = await entriesOf(made.json.id);
  assert.deepEqual(
    exported.map(({ action, detail }) => [action, detail.path]),
    [
      ['export.download', 'a.bin'],
      ['export.download', undefined],
    ],
  );
});

test('no byte is sent without an entry, and the next request tries again', async () => {
  const { acme, services } = bench;
  const id = await acme.upload(chatLine);
  const path = `/v1/files/${id}/content`;
  // Postgres refuses the entry, as when it is read-only.
  await services.sql.query(`
    CREATE FUNCTION refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'read-only' USING ERRCODE = '25006'; END $$;
    CREATE TRIGGER refuse_entry BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_entry()`);
  try {
    const refused = await acme.send('GET', path);
    assert.equal(refused.status, 503);
    assert.doesNotMatch(refused.text, /messages/);
  } finally {
    await services.sql.query('DROP TRIGGER refuse_entry ON audit_log; DROP FUNCTION refuse_entry()');
  }
  assert.equal((await acme.send('GET', path)).text, chatLine);
  assert.equal((await entriesOf(id)).length, 1);
});

test('an hour later, and for other bytes, there is another entry', async () => {
  const { acme, services } = bench;
  let now = 0;
  const audit = createDownloadAudit(services, () => now);
  const download = {
    action: 'export.download',
    target: 'export-1',
    path: null,
    bytes: 1,
    sha256: 'a',
  } as const;
  const by = { keyId: keyIdOf(acme)!, personId: null };
  const read = (changes = {}) => audit(acme.teamId, by, { ...download, ...changes });
  await read();
  now = 3599_000;
  await read();
  assert.equal((await entriesOf('export-1')).length, 1);
  await read({ sha256: 'b' });
  now = 3600_000;
  await read();
  assert.equal((await entriesOf('export-1')).length, 3);
});
