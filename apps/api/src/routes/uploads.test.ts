import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimUpload, expireUploads } from '@graft/service/uploads';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench(
    { uploadIdleMs: 1000, openUploads: 20, completionWaitMs: 1500 },
    { GRAFT_MAX_UPLOAD_BYTES: '3000000' },
  );
});
after(async () => await bench?.close());

const lineOf = (i: number) => chatLine.replace('"a"', `"question ${i}"`);
const linesOf = (count: number) =>
  Buffer.from(Array.from({ length: count }, (_, i) => `${lineOf(i)}\n`).join(''));
const content = linesOf(200);
const about = { filename: '../a/train.jsonl', purpose: 'fine-tune', mime_type: 'text/jsonl' };

function formOf(bytes: Uint8Array): FormData {
  const form = new FormData();
  form.set('data', new Blob([new Uint8Array(bytes)]), 'part');
  return form;
}

async function begin(team: Caller, bytes = content.length): Promise<string> {
  const answer = await team.send('POST', '/v1/uploads', { ...about, bytes });
  assert.equal(answer.status, 200, answer.text);
  return answer.json.id;
}
const send = async (team: Caller, id: string, bytes: Uint8Array) =>
  await team.send('POST', `/v1/uploads/${id}/parts`, formOf(bytes));
const complete = async (team: Caller, id: string, part_ids: string[], more: object = {}) =>
  await team.send('POST', `/v1/uploads/${id}/complete`, { part_ids, ...more });

/** Sends the content in parts of `size`, the last one first. Returns the parts' ids in order. */
async function sendAll(team: Caller, id: string, bytes = content, size = 5000): Promise<string[]> {
  const ids: string[] = [];
  for (let i = Math.ceil(bytes.length / size) - 1; i >= 0; i--) {
    const answer = await send(team, id, bytes.subarray(i * size, (i + 1) * size));
    assert.equal(answer.status, 200, answer.text);
    ids.unshift(answer.json.id);
  }
  return ids;
}

async function storedFiles(): Promise<number> {
  const folder = join(bench.services.env.dataDir, 'files');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).length;
}
async function untilStored(count: number): Promise<void> {
  for (const end = performance.now() + 20_000; (await storedFiles()) !== count; await sleep(20))
    assert.ok(performance.now() < end, `waited in vain for ${count} files; there are ${await storedFiles()}`);
}
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');

describe('an upload in parts', () => {
  test('becomes a file of the parts in the order that completion names, and leaves that file alone', async () => {
    const { acme } = bench;
    const before = await storedFiles();
    const created = await acme.send('POST', '/v1/uploads', { ...about, bytes: content.length });
    assert.equal(created.json.object, 'upload');
    assert.match(created.json.id, /^upload_[0-9A-Za-z]{24}$/);
    assert.deepEqual(
      [created.json.status, created.json.filename, created.json.bytes, created.json.file],
      ['pending', 'train.jsonl', content.length, null],
    );
    assert.equal(created.json.expires_at - created.json.created_at, 3600);
    const { id } = created.json;
    const parts = await sendAll(acme, id);
    const listed = (await acme.send('GET', `/v1/uploads/${id}/parts`)).json;
    assert.deepEqual(
      listed.data.map((part: { id: string }) => part.id),
      parts.toReversed(),
    );
    assert.equal((await acme.send('GET', `/v1/uploads/${id}`)).json.received_bytes, content.length);
    const done = await complete(acme, id, parts, { md5: md5(content).toUpperCase() });
    assert.equal(done.status, 200, done.text);
    assert.deepEqual([done.json.status, done.json.file.filename], ['completed', 'train.jsonl']);
    assert.equal(done.json.file.sha256, createHash('sha256').update(content).digest('hex'));
    assert.equal(done.json.file.examples, 200);
    const fileId = done.json.file.id;
    assert.equal((await acme.send('GET', `/v1/files/${fileId}/content`)).text, content.toString());
    assert.equal(await storedFiles(), before + 1);
    assert.deepEqual((await acme.send('GET', `/v1/uploads/${id}/parts`)).json.data, []);
    assert.deepEqual((await acme.send('GET', `/v1/uploads/${id}`)).json, done.json);
    const entries = await bench.services.db.auditEntry.count({
      where: { target: fileId, action: 'file.create' },
    });
    assert.equal(entries, 1);

    // Repeating the same completion returns the same response; another completion fails.
    assert.deepEqual((await complete(acme, id, parts)).json, done.json);
    assertError(await complete(acme, id, parts.toReversed()), 400, 'invalid_upload_state');
    assertError(await send(acme, id, content.subarray(0, 10)), 400, 'invalid_upload_state');
    assertError(await acme.send('POST', `/v1/uploads/${id}/cancel`), 400, 'invalid_upload_state');
  });

  test('the same bytes again are the same part, also twice at once and when nothing is left', async () => {
    const { acme } = bench;
    const before = await storedFiles();
    const half = Buffer.from(`${chatLine}\n`.repeat(100));
    const id = await begin(acme, 2 * half.length);
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(acme, id, half)));
    assert.equal(new Set(answers.map(({ json }) => json.id)).size, 1, JSON.stringify(answers));
    assert.equal(await storedFiles(), before + 1);
    const part = answers[0]!.json.id;
    // The halves are identical, so one part is used twice.
    const done = await complete(acme, id, [part, part]);
    assert.equal(done.json.file.bytes, 2 * half.length, done.text);

    const full = await begin(acme);
    const first = await send(acme, full, content);
    assert.equal((await send(acme, full, content)).json.id, first.json.id);
    assertError(await send(acme, full, Buffer.from('x')), 413, 'part_too_large', 'data');
    await acme.send('POST', `/v1/uploads/${full}/cancel`);
  });

  test('more bytes than announced are refused, also by parts at once, and leave nothing', async () => {
    const { acme } = bench;
    const id = await begin(acme, 1000);
    const before = await storedFiles();
    const message = assertError(await send(acme, id, content), 413, 'part_too_large', 'data');
    assert.match(message, /more than the 1000 bytes/);
    const parts = Array.from({ length: 8 }, (_, i) => Buffer.alloc(300, `${i}`));
    const answers = await Promise.all(parts.map((bytes) => send(acme, id, bytes)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 3);
    for (const refused of answers.filter(({ status }) => status !== 200))
      assert.match(
        assertError(refused, 413, 'part_too_large'),
        /of the 1000 that were announced only 100 are left/,
      );
    assert.equal(await storedFiles(), before + 3);
    const kept = answers.filter(({ status }) => status === 200).map(({ json }) => json.id);
    assertError(await complete(acme, id, kept), 400, 'parts_incomplete', 'part_ids');
    assert.equal((await acme.send('POST', `/v1/uploads/${id}/cancel`)).json.status, 'cancelled');
    assert.equal(await storedFiles(), before);
    assert.equal((await acme.send('POST', `/v1/uploads/${id}/cancel`)).json.status, 'cancelled');
    assertError(await complete(acme, id, kept), 400, 'invalid_upload_state');
  });

  test('bad lines, a wrong MD5 and unknown parts are refused; the upload stays, and can be completed', async () => {
    const { acme } = bench;
    const bytes = Buffer.from(`${chatLine}\n{"text": 5}\n${chatLine}\n`);
    const bad = await begin(acme, bytes.length);
    const part = (await send(acme, bad, bytes)).json.id;
    const before = await storedFiles();
    assert.match(assertError(await complete(acme, bad, [part]), 400, 'invalid_jsonl', 'file'), /^line 2 /);
    assert.equal((await acme.send('GET', `/v1/uploads/${bad}`)).json.status, 'pending');
    assert.equal(await storedFiles(), before);
    await acme.send('POST', `/v1/uploads/${bad}/cancel`);

    const id = await begin(acme);
    const parts = await sendAll(acme, id);
    assertError(await complete(acme, id, parts, { md5: md5(Buffer.from('x')) }), 400, 'md5_mismatch', 'md5');
    assertError(await complete(acme, id, [...parts, 'part_none']), 400, 'part_not_found', 'part_ids');
    const other = await begin(bench.other);
    const foreign = await sendAll(bench.other, other);
    assertError(await complete(acme, id, foreign), 400, 'part_not_found', 'part_ids');
    assertError(await complete(acme, id, []), 400, 'invalid_value', 'part_ids');
    assertError(await complete(acme, id, parts, { md5: 'x' }), 400, 'invalid_value', 'md5');
    assert.equal((await complete(acme, id, parts, { md5: md5(content) })).status, 200);
    await bench.other.send('POST', `/v1/uploads/${other}/cancel`);
  });

  test('completed many times concurrently, there is one file, which all responses name', async () => {
    const { acme } = bench;
    const id = await begin(acme);
    const parts = await sendAll(acme, id);
    const files = async () => await bench.services.db.file.count({ where: { teamId: acme.teamId } });
    const before = await files();
    const answers = await Promise.all(Array.from({ length: 8 }, () => complete(acme, id, parts)));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200], answers[0]!.text);
    assert.equal(new Set(answers.map(({ json }) => json.file.id)).size, 1);
    assert.equal(await files(), before + 1);
  });

  test('cancelled while it is completed, it ends without a file and leaves nothing; or the file was first', async () => {
    const { acme } = bench;
    const large = linesOf(25_000);
    const ends = new Set<string>();
    for (const ms of [0, 5, 20, 60, 150, 400]) {
      const before = await storedFiles();
      const id = await begin(acme, large.length);
      const parts = await sendAll(acme, id, large, 400_000);
      const completing = complete(acme, id, parts);
      await sleep(ms);
      const cancelled = await acme.send('POST', `/v1/uploads/${id}/cancel`);
      const completed = await completing;
      const { status } = (await acme.send('GET', `/v1/uploads/${id}`)).json;
      ends.add(status);
      if (status === 'cancelled') {
        assert.equal(cancelled.status, 200);
        assertError(completed, 400, 'invalid_upload_state');
        assert.equal(await storedFiles(), before);
      } else {
        assertError(cancelled, 400, 'invalid_upload_state');
        assert.equal(completed.status, 200);
        assert.equal(await storedFiles(), before + 1);
      }
    }
    assert.ok(ends.has('cancelled'), [...ends].join());
  });

  test('if a process dies while completing, its lease is waited for, then another one completes it', async () => {
    const { acme, services } = bench;
    const id = await begin(acme);
    const parts = await sendAll(acme, id);
    const dead = { teamId: acme.teamId, uploadId: id, holder: 'dead' };
    assert.equal((await claimUpload(services, dead, parts))!.kind, 'claimed');
    const busy = await complete(acme, id, parts);
    assertError(busy, 503, 'resource_busy');
    assert.equal(busy.headers.get('retry-after'), '5');
    await services.sql.query('UPDATE uploads SET claim_until = now() WHERE id = $1', [id]);
    assert.equal((await complete(acme, id, parts)).json.status, 'completed');
  });

  test('a connection that is cut off or falls silent leaves nothing', async () => {
    const { acme, url } = bench;
    const id = await begin(acme, 90_000);
    const before = await storedFiles();
    const { port } = new URL(url);
    const head = `POST /v1/uploads/${id}/parts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${acme.key}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 90000\r\n\r\n--b\r\ncontent-disposition: form-data; name="data"; filename="x"\r\n\r\n`;
    for (const how of ['cut', 'silent']) {
      const socket = connect(Number(port), '127.0.0.1');
      socket.on('error', () => {});
      socket.write(head + 'x'.repeat(20_000));
      await untilStored(before + 1);
      if (how === 'cut') socket.destroy();
      await untilStored(before);
      socket.destroy();
    }
    assert.equal((await acme.send('GET', `/v1/uploads/${id}`)).json.parts, 0);
    await acme.send('POST', `/v1/uploads/${id}/cancel`);
  });

  test('bodies that are no part are refused by name', async () => {
    const { acme } = bench;
    const id = await begin(acme);
    const path = `/v1/uploads/${id}/parts`;
    assertError(await acme.send('POST', path, {}), 415, 'unsupported_media_type');
    assertError(await acme.send('POST', path, new FormData()), 400, 'missing_required_parameter', 'data');
    const field = new FormData();
    field.set('data', 'text');
    assertError(await acme.send('POST', path, field), 400, 'invalid_value', 'data');
    const named = new FormData();
    named.set('date', new Blob(['x']), 'x');
    assertError(await acme.send('POST', path, named), 400, 'unknown_parameter', 'date');
    assertError(await send(acme, id, Buffer.alloc(0)), 400, 'invalid_value', 'data');
    const two = formOf(Buffer.from('a'));
    two.append('data', new Blob(['b']), 'b');
    const before = await storedFiles();
    assertError(await acme.send('POST', path, two), 400, 'invalid_value', 'data');
    assert.equal(await storedFiles(), before);
    const create = async (change: object) =>
      await acme.send('POST', '/v1/uploads', { ...about, bytes: 9, ...change });
    assertError(await create({ bytes: 0 }), 400, 'invalid_value', 'bytes');
    assertError(await create({ bytes: 3_000_001 }), 413, 'file_too_large', 'bytes');
    assertError(await create({ bytes: '9' }), 400, 'invalid_value', 'bytes');
    assertError(await create({ purpose: 'batch' }), 400, 'invalid_value', 'purpose');
    assertError(await create({ mime_type: 'text' }), 400, 'invalid_value', 'mime_type');
    assertError(
      await create({ expires_after: { seconds: 1 } }),
      400,
      'unsupported_parameter',
      'expires_after',
    );
    await acme.send('POST', `/v1/uploads/${id}/cancel`);
  });
});

describe('uploads of a team', () => {
  test('another team knows none of them, and a viewer changes none', async () => {
    const { acme, other } = bench;
    const id = await begin(acme);
    const [part] = await sendAll(acme, id, content, 50_000);
    const requests: [string, string, unknown?][] = [
      ['GET', ''],
      ['GET', '/parts'],
      ['POST', '/parts', formOf(content)],
      ['POST', '/complete', { part_ids: [part] }],
      ['POST', '/cancel'],
    ];
    const before = await storedFiles();
    for (const [method, path, body] of requests) {
      const foreign = await other.send(method, `/v1/uploads/${id}${path}`, body);
      const unknown = await other.send(method, `/v1/uploads/upload_none${path}`, body);
      assertError(foreign, 404, 'upload_not_found', 'upload_id');
      assert.equal(foreign.text.replaceAll(id, '?'), unknown.text.replaceAll('upload_none', '?'));
    }
    assertError(await other.send('GET', `/v1/uploads?after=${id}`), 400, 'invalid_cursor');
    const viewer = await bench.caller(acme, 'viewer');
    for (const [method, path, body] of requests) {
      const answer = await viewer.send(method, `/v1/uploads/${id}${path}`, body);
      if (method === 'GET') assert.equal(answer.status, 200);
      else assertError(answer, 403, 'insufficient_role');
    }
    assertError(await viewer.send('POST', '/v1/uploads', { ...about, bytes: 5 }), 403, 'insufficient_role');
    assert.equal(await storedFiles(), before);
    assert.equal((await acme.send('GET', `/v1/uploads/${id}`)).json.status, 'pending');
    await acme.send('POST', `/v1/uploads/${id}/cancel`);
  });

  test('are listed by page and status, and the limit of open ones is exact', async () => {
    const team = bench.other;
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => team.send('POST', '/v1/uploads', { ...about, bytes: 10 })),
    );
    assert.equal(answers.filter(({ status }) => status === 200).length, 20);
    const refused = answers.find(({ status }) => status !== 200)!;
    assert.equal(refused.json.error.code, 'too_many_uploads');
    assert.equal(refused.json.error.type, 'rate_limit_error');
    assert.equal(refused.headers.get('retry-after'), '5');
    assert.match(refused.json.error.message, /20 uploads open, and 20 is the limit.*expires in (59|60) min/);
    const page = (await team.send('GET', '/v1/uploads?status=pending&limit=15')).json;
    assert.deepEqual([page.data.length, page.has_more], [15, true]);
    const rest = (await team.send('GET', `/v1/uploads?status=pending&limit=15&after=${page.last_id}`)).json;
    assert.deepEqual([rest.data.length, rest.has_more], [5, false]);
    const one = page.data[0].id;
    await team.send('POST', `/v1/uploads/${one}/cancel`);
    assert.equal((await team.send('GET', '/v1/uploads?status=cancelled')).json.data[0].id, one);
    assert.equal((await team.send('POST', '/v1/uploads', { ...about, bytes: 10 })).status, 200);
    await bench.services.db.upload.deleteMany({ where: { teamId: team.teamId } });
  });

  test('expire: nothing more is accepted, the parts are removed, also those that a dead completion held', async () => {
    const { acme, services } = bench;
    const before = await storedFiles();
    const [id, claimed] = [await begin(acme), await begin(acme)];
    const parts = await sendAll(acme, id);
    const others = await sendAll(acme, claimed, content, 6000);
    const holder = { teamId: acme.teamId, uploadId: claimed, holder: 'alive' };
    await claimUpload(services, holder, others);
    await services.sql.query('UPDATE uploads SET expires_at = now() WHERE id = ANY($1)', [[id, claimed]]);
    assert.equal((await acme.send('GET', `/v1/uploads/${id}`)).json.status, 'expired');
    assertError(await complete(acme, id, parts), 400, 'invalid_upload_state');
    assertError(await send(acme, id, content), 400, 'invalid_upload_state');
    assertError(await acme.send('POST', `/v1/uploads/${id}/cancel`), 400, 'invalid_upload_state');
    assert.equal(await expireUploads(services), 1);
    // An upload that is being completed is kept until its claim expires.
    assert.equal(await storedFiles(), before + others.length);
    await services.sql.query('UPDATE uploads SET claim_until = now() WHERE id = $1', [claimed]);
    assert.equal(await expireUploads(services), 1);
    assert.equal(await storedFiles(), before);
    await services.sql.query("UPDATE uploads SET ended_at = now() - interval '31 days' WHERE id = $1", [id]);
    await expireUploads(services);
    assertError(await acme.send('GET', `/v1/uploads/${id}`), 404, 'upload_not_found');
  });
});
