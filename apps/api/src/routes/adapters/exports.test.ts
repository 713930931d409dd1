import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AdapterVersion } from '@graft/service/adapters';
import { dataFolder } from '@graft/service/data-folder';
import { claimExport, expireExports, failExport, heartbeatExport } from '@graft/service/exports';
import { setQuota } from '@graft/service/teams';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';
import { storeAdapter } from '../../testing/store-adapter.ts';
import { writeNextExport } from '../../testing/write-export.ts';

let bench: ApiBench;
let version: AdapterVersion;
const pathOf = ({ adapterId, number }: AdapterVersion) =>
  `/v1/adapters/${adapterId}/versions/${number}/exports`;
const create = (by: Caller = bench.acme, body: object = { format: 'peft' }, of = version) =>
  by.send('POST', pathOf(of), body);
const get = async (id: string, by = bench.acme) => (await by.send('GET', `${pathOf(version)}/${id}`)).json;
const remove = (id: string, by = bench.acme) => by.send('DELETE', `${pathOf(version)}/${id}`);
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const claim = async () => (await claimExport(bench.services, { workerId: 'worker-test', leaseSeconds: 60 }))!;
const ageBy = (id: string, days: number) =>
  bench.services.sql.query(
    'UPDATE adapter_exports SET expires_at = expires_at - make_interval(days => $2) WHERE id = $1',
    [id, days],
  );

before(async () => {
  bench = await openApiBench();
  version = await storeAdapter(bench, bench.acme, 'poet');
});
after(async () => await bench?.close());

async function download(path: string, headers: Record<string, string> = {}, by = bench.acme) {
  const response = await fetch(bench.url + path, {
    headers: { authorization: `Bearer ${by.key}`, ...headers },
  });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}

describe('exports', () => {
  test('is queued, written, listed with its files, and downloaded whole or in parts', async () => {
    const made = (await create()).json;
    assert.match(made.id, /^exp-[0-9A-Za-z]{24}$/);
    assert.deepEqual(
      [made.object, made.status, made.format, made.version, made.files, made.bytes, made.download_path],
      ['adapter.export', 'queued', 'peft', 1, [], null, null],
    );
    assertError(
      await bench.acme.send('GET', `${pathOf(version)}/${made.id}/download`),
      400,
      'export_not_ready',
      'export_id',
    );
    const weights = randomBytes(200_000);
    const files = { 'adapter_model.safetensors': weights, 'tokenizer/vocab.json': '{}' };
    assert.equal(await writeNextExport(bench, files, ['Padded to rank 16.']), made.id);
    const written = await get(made.id);
    assert.deepEqual(
      [written.status, written.bytes, written.notes],
      ['succeeded', 200_002, ['Padded to rank 16.']],
    );
    assert.deepEqual(
      written.files.map((each: { path: string; sha256: string }) => [each.path, each.sha256]),
      [
        ['adapter_model.safetensors', sha256(weights)],
        ['tokenizer/vocab.json', sha256(Buffer.from('{}'))],
      ],
    );
    assert.ok(Math.abs(written.expires_at - written.finished_at - 7 * 86_400) <= 1);
    assert.deepEqual((await bench.acme.send('GET', pathOf(version))).json.data, [written]);

    // One file, and a part of it.
    const whole = await download(written.files[0].download_path);
    assert.deepEqual(whole.bytes, weights);
    assert.equal(whole.response.headers.get('x-content-sha256'), sha256(weights));
    const part = await download(written.files[0].download_path, { range: 'bytes=1000-1999' });
    assert.deepEqual([part.response.status, part.bytes], [206, weights.subarray(1000, 2000)]);
    assert.equal(part.response.headers.get('content-range'), 'bytes 1000-1999/200000');
    const etag = whole.response.headers.get('etag')!;
    assert.equal(
      (await download(written.files[0].download_path, { 'if-none-match': etag })).response.status,
      304,
    );

    // All as a tar, which tar unpacks.
    const tar = await download(written.download_path);
    assert.equal(sha256(tar.bytes), tar.response.headers.get('x-content-sha256'));
    const folder = mkdtempSync(join(tmpdir(), 'graft-export-'));
    writeFileSync(join(folder, 'all.tar'), tar.bytes);
    execFileSync('tar', ['xf', 'all.tar'], { cwd: folder });
    assert.deepEqual(readFileSync(join(folder, 'adapter_model.safetensors')), weights);
    assert.equal(readFileSync(join(folder, 'tokenizer', 'vocab.json'), 'utf8'), '{}');
    rmSync(folder, { recursive: true });
    const tail = await download(written.download_path, { range: 'bytes=150000-' });
    assert.deepEqual(tail.bytes, tar.bytes.subarray(150_000));
    for (const file of ['none', '../adapter_model.safetensors', 'tokenizer'])
      assertError(
        await bench.acme.send('GET', `${written.download_path}?path=${encodeURIComponent(file)}`),
        404,
        'export_file_not_found',
        'path',
      );
    await remove(made.id);
  });

  test('asking again returns the same export, with its time renewed', async () => {
    const first = await create();
    const again = await create();
    assert.equal(again.json.id, first.json.id);
    assert.deepEqual(
      [first.headers.get('idempotent-replayed'), again.headers.get('idempotent-replayed')],
      [null, 'true'],
    );
    const many = await Promise.all(
      Array.from({ length: 6 }, () => create(bench.acme, { format: 'peft', options: {} })),
    );
    assert.deepEqual([...new Set(many.map(({ json }) => json.id))], [first.json.id]);
    await writeNextExport(bench, { a: 'b' });
    const before = (await get(first.json.id)).expires_at;
    await ageBy(first.json.id, 3);
    const renewed = (await create()).json;
    assert.ok(Math.abs(renewed.expires_at - before) <= 5);
    assert.equal((await create(bench.acme, { format: 'peft', keep: true })).json.expires_at, null);

    // A failed or cancelled one is no answer to a new request.
    await remove(first.json.id);
    const second = (await create()).json;
    assert.notEqual(second.id, first.json.id);
    await bench.acme.send('POST', `${pathOf(version)}/${second.id}/cancel`);
    const third = (await create()).json;
    assert.notEqual(third.id, second.id);
    await remove(second.id);
    await remove(third.id);
  });

  test('names what is wrong with a request', async () => {
    const { acme } = bench;
    assertError(await create(acme, { format: 'pft' }), 400, 'unknown_export_format', 'format');
    assertError(await create(acme, {}), 400, 'missing_required_parameter', 'format');
    assertError(
      await create(acme, { format: 'peft', options: { depth: 1 } }),
      400,
      'invalid_export_option',
      'options.depth',
    );
    assertError(await create(acme, { format: 'peft', keep: 1 }), 400, 'invalid_value', 'keep');
    assertError(await create(acme, { format: 'peft', more: 1 }), 400, 'unknown_parameter', 'more');
    const missing = { ...version, number: 9 };
    assertError(await create(acme, { format: 'peft' }, missing), 404, 'adapter_version_not_found', 'version');
    assertError(await acme.send('GET', `${pathOf(version)}/exp-none`), 404, 'export_not_found', 'export_id');
  });

  test('formats say what they are for, their options, and why they refuse', async () => {
    const { data } = (await bench.acme.send('GET', `${pathOf(version)}/formats`)).json;
    const peft = data.find(({ name }: { name: string }) => name === 'peft');
    assert.equal(peft.refusal, null);
    assert.ok(peft.bytes >= version.bytes);
    assert.equal(peft.options.type, 'object');
    for (const { title, summary, runtimes } of data) assert.ok(title && summary && runtimes.length > 0);
  });

  test('another team, a viewer and a limited key', async () => {
    const { acme, other } = bench;
    const { id } = (await create()).json;
    await writeNextExport(bench, { a: 'b' });
    const routes: [method: string, path: string, body?: object][] = [
      ['GET', ''],
      ['POST', '', { format: 'peft' }],
      ['GET', '/formats'],
      ['GET', `/${id}`],
      ['GET', `/${id}/download`],
      ['POST', `/${id}`, { keep: true }],
      ['POST', `/${id}/cancel`],
      ['DELETE', `/${id}`],
    ];
    for (const [method, path, body] of routes) {
      const answer = await other.send(method, pathOf(version) + path, body);
      assertError(answer, 404, 'adapter_not_found', 'adapter_id');
    }
    const viewer = await bench.caller(acme, 'viewer');
    assert.equal((await get(id, viewer)).status, 'succeeded');
    assertError(await create(viewer), 403, 'insufficient_role');
    assertError(await remove(id, viewer), 403, 'insufficient_role');
    const reader = await bench.caller(acme, 'member', { scopes: ['adapters:read'] });
    assertError(await create(reader), 403, 'insufficient_scope');
    const writer = await bench.caller(acme, 'member', { scopes: ['adapters:write'] });
    const receipt = (await create(writer)).json;
    assert.deepEqual([receipt.id, receipt.files], [id, undefined]);
    assertError(await writer.send('GET', `${pathOf(version)}/${id}/download`), 403, 'insufficient_scope');
    const elsewhere = await bench.caller(acme, 'member', { models: ['ft:tiny:acme:clerk:*'] });
    for (const [method, path, body] of routes)
      assertError(await elsewhere.send(method, pathOf(version) + path, body), 403, 'model_not_allowed');
    await remove(id);
  });

  test('cancelling or deleting a running export fences its worker', async () => {
    const { services, acme } = bench;
    const made = (await create()).json;
    const { lease } = await claim();
    assert.equal(await heartbeatExport(services, lease, { leaseSeconds: 60, done: 5, total: 10 }), true);
    assert.deepEqual((await get(made.id)).progress, { bytes: 5, total_bytes: 10 });
    const cancelled = (await acme.send('POST', `${pathOf(version)}/${made.id}/cancel`)).json;
    assert.deepEqual([cancelled.status, cancelled.progress], ['cancelled', null]);
    assert.equal(await heartbeatExport(services, lease, { leaseSeconds: 60, done: 6, total: 10 }), false);
    assertError(
      await acme.send('POST', `${pathOf(version)}/${made.id}/cancel`),
      400,
      'export_not_cancellable',
      'export_id',
    );
    await remove(made.id);

    const second = (await create()).json;
    const held = await claim();
    assert.deepEqual((await remove(second.id)).json, {
      id: second.id,
      object: 'adapter.export',
      deleted: true,
    });
    assert.equal(
      await heartbeatExport(services, held.lease, { leaseSeconds: 60, done: 6, total: 10 }),
      false,
    );
    assertError(await remove(second.id), 404, 'export_not_found');
  });

  test('fails with its reason, and counts nothing then', async () => {
    const { services } = bench;
    const made = (await create()).json;
    const { lease } = await claim();
    const error = { code: 'storage_full', message: 'Full.', param: null, fault: 'environment' } as const;
    assert.equal(await failExport(services, lease, error), 'queued');
    const waiting = await get(made.id);
    assert.deepEqual(
      [waiting.status, waiting.error],
      ['queued', { code: 'storage_full', message: 'Full.', param: null }],
    );
    // Not before its pause is over.
    assert.equal(await claimExport(services, { workerId: 'w', leaseSeconds: 60 }), null);
    await services.sql.query('UPDATE adapter_exports SET run_after = now() WHERE id = $1', [made.id]);
    const again = await claim();
    assert.equal(await failExport(services, again.lease, { ...error, fault: 'system' }), 'failed');
    const failed = await get(made.id);
    assert.deepEqual([failed.status, failed.error.code, failed.bytes], ['failed', 'storage_full', null]);
    assert.ok(failed.expires_at > failed.finished_at);
    const { rows } = await services.sql.query('SELECT topic FROM outbox WHERE payload->>$1 = $2', [
      'id',
      made.id,
    ]);
    assert.deepEqual(rows, [{ topic: 'export.failed' }]);
    await remove(made.id);
  });

  test('counts in the quota of stored bytes from the request on', async () => {
    const { services, acme } = bench;
    const used = async () => (await acme.send('GET', '/v1/team/quota')).json.use.stored_bytes;
    const before = await used();
    const made = (await create()).json;
    assert.equal(await used(), before + made.reserved_bytes);
    await writeNextExport(bench, { a: randomBytes(1000) });
    assert.equal(await used(), before + 1000);
    const ledger = async () =>
      (
        await services.sql.query(
          "SELECT coalesce(sum(quantity), 0)::int AS sum, max(model) AS model FROM usage_ledger WHERE kind = 'stored_bytes' AND subject = $1",
          [made.id],
        )
      ).rows[0];
    assert.deepEqual(await ledger(), { sum: 1000, model: version.modelName });
    await remove(made.id);
    assert.equal(await used(), before);
    assert.equal((await ledger()).sum, 0);

    await setQuota(services, acme.teamId, { storedBytes: before + made.reserved_bytes - 1 });
    const refused = await create();
    assertError(refused, 403, 'quota_exceeded');
    assert.match(refused.json.error.message, /exports of this team have/);
    await setQuota(services, acme.teamId, { storedBytes: null });
  });

  test('expires with its files, unless it is kept', async () => {
    const { services, acme } = bench;
    const { exports } = dataFolder(services.env.dataDir);
    const { id } = (await create()).json;
    await writeNextExport(bench, { a: 'b' });
    const stored = async () =>
      (await readdir(exports, { recursive: true })).filter((name) => name.endsWith('/a'));
    assert.equal((await stored()).length, 1);
    assert.equal(await expireExports(services), 0);
    const kept = (await acme.send('POST', `${pathOf(version)}/${id}`, { keep: true })).json;
    assert.deepEqual([kept.keep, kept.expires_at], [true, null]);
    await ageBy(id, 8);
    assert.equal(await expireExports(services), 0);
    const released = (await acme.send('POST', `${pathOf(version)}/${id}`, { keep: false })).json;
    assert.ok(released.expires_at > released.finished_at, 'its time begins again');
    await ageBy(id, 8);
    assert.equal(await expireExports(services), 1);
    assertError(await acme.send('GET', `${pathOf(version)}/${id}`), 404, 'export_not_found');
    assert.deepEqual(await stored(), []);
  });

  test('damaged files are refused, and exported again', async () => {
    const { services, acme } = bench;
    const { exports } = dataFolder(services.env.dataDir);
    const { id } = (await create()).json;
    await writeNextExport(bench, { a: 'b' });
    const [file] = (await readdir(exports, { recursive: true })).filter((name) => name.endsWith('/a'));
    writeFileSync(join(exports, file!), 'c');
    assertError(await acme.send('GET', `${pathOf(version)}/${id}/download`), 410, 'artifact_corrupt');
    const next = (await create()).json;
    assert.notEqual(next.id, id);
    await remove(id);
    await remove(next.id);
    await rm(exports, { recursive: true, force: true });
  });

  test('hides with its version, and goes with it', async () => {
    const { services, acme } = bench;
    const second = await storeAdapter(bench, acme, 'poet');
    const { id } = (await create(acme, { format: 'peft' }, second)).json;
    await acme.send('DELETE', `/v1/adapters/${second.adapterId}/versions/${second.number}`);
    assertError(await acme.send('GET', `${pathOf(second)}/${id}`), 404, 'adapter_version_not_found');
    assertError(await create(acme, { format: 'peft' }, second), 404, 'adapter_version_not_found');
    await acme.send('POST', `/v1/adapters/${second.adapterId}/versions/${second.number}/restore`);
    assert.equal((await acme.send('GET', `${pathOf(second)}/${id}`)).json.status, 'queued');
    await services.sql.query('DELETE FROM adapter_versions WHERE id = $1', [second.id]);
    assert.equal(await services.db.adapterExport.count({ where: { id } }), 0);
  });

  test('leaves audit entries', async () => {
    const { rows } = await bench.services.sql.query(
      "SELECT DISTINCT action FROM audit_log WHERE team_id = $1 AND action LIKE 'export.%' ORDER BY 1",
      [bench.acme.teamId],
    );
    assert.deepEqual(
      rows.map(({ action }) => action),
      ['export.cancel', 'export.corrupt', 'export.create', 'export.delete', 'export.download', 'export.keep'],
    );
  });
});
