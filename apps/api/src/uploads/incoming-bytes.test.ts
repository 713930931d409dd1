/** Unfinished uploads count towards the quota of stored bytes while they arrive, even with many concurrent ones. */
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { expireUploads } from '@graft/service/uploads';
import { filesOf, sendAdapter, soundAdapter } from '../testing/adapter-parts.ts';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench, uploadForm } from '../testing/open-api-bench.ts';

const MB = 1e6;
const quota = 10 * MB;
const many = 16;

let bench: ApiBench;
let operator: Caller;
before(async () => {
  bench = await openApiBench();
  operator = await bench.operator();
});
after(async () => await bench?.close());

async function teamWithQuota(storedBytes = quota): Promise<Caller> {
  const name = `team-${Math.random().toString(36).slice(2, 10)}`;
  const { json } = await operator.send('POST', '/v1/admin/teams', { name });
  const set = await operator.send('POST', `/v1/admin/teams/${json.id}/quota`, { stored_bytes: storedBytes });
  assert.equal(set.status, 200, set.text);
  return await bench.caller({ ...bench.acme, teamId: json.id, teamName: name }, 'member');
}

/** Examples of about `bytes` bytes. */
function examples(bytes: number): string {
  const line = `{"messages":[{"role":"user","content":"${'a'.repeat(50_000)}"},{"role":"assistant","content":"b"}]}\n`;
  return line.repeat(Math.floor(bytes / line.length));
}

const used = async (team: Caller): Promise<number> =>
  (await team.send('GET', '/v1/team/quota')).json.use.stored_bytes;

/** Bytes of all files of the server. */
async function onDisk(): Promise<number> {
  const { dataDir } = bench.services.env;
  const names = await readdir(dataDir, { recursive: true });
  const sizes = names.map(async (name) => {
    const about = await stat(join(dataDir, name)).catch(() => null);
    return about?.isFile() ? about.size : 0;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !(await holds()); await sleep(25))
    assert.ok(performance.now() < end, `waited in vain for ${what}`);
}

interface SlowUpload {
  request: ClientRequest;
  answer: { status: number; code: string | undefined } | null;
  /** Sends the rest. */
  finish(): void;
  hangUp(): void;
}

/** Sends a file except its last bytes, and then waits. */
function slowUpload(
  team: Caller,
  path: string,
  { field, lines, known }: { field: string; lines: string; known: boolean },
): SlowUpload {
  const boundary = 'graft-test';
  const purpose = `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n`;
  const head = `${field === 'file' ? purpose : ''}--${boundary}\r\ncontent-disposition: form-data; name="${field}"; filename="a.jsonl"\r\n\r\n`;
  const body = Buffer.from(`${head}${lines}\r\n--${boundary}--\r\n`);
  const { hostname, port } = new URL(bench.url);
  const request = httpRequest({
    hostname,
    port,
    path,
    method: 'POST',
    headers: {
      authorization: `Bearer ${team.key}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      ...(known ? { 'content-length': body.length } : {}),
    },
  });
  const upload: SlowUpload = {
    request,
    answer: null,
    finish: () => void request.end(body.subarray(body.length - 100)),
    hangUp: () => void request.destroy(),
  };
  request.on('error', () => {});
  request.on('response', (response) => {
    let text = '';
    response.on('data', (chunk) => {
      text += chunk;
    });
    response.on('end', () => {
      upload.answer = { status: response.statusCode!, code: JSON.parse(text).error?.code };
    });
  });
  request.write(body.subarray(0, body.length - 100));
  return upload;
}

for (const known of [true, false])
  test(`16 files of 9 MB at once at a quota of 10 MB, ${known ? 'whose length is announced' : 'of unknown length'}`, async () => {
    const team = await teamWithQuota();
    const before = await onDisk();
    const lines = examples(9 * MB);
    const uploads = Array.from({ length: many }, () =>
      slowUpload(team, '/v1/files', { field: 'file', lines, known }),
    );
    try {
      const open = () => uploads.filter(({ answer }) => !answer);
      // Each upload of unknown length first reserves a share, so perhaps none fits.
      await until('refusals', () => open().length <= 1);
      for (const { answer } of uploads)
        if (answer) assert.deepEqual(answer, { status: 403, code: 'quota_exceeded' });
      assert.ok((await onDisk()) - before <= quota, `${(await onDisk()) - before} bytes on disk`);
      assert.ok((await used(team)) <= quota, `${await used(team)} bytes counted`);
      const [last] = open();
      if (known) assert.ok(last, 'one of them fits');
      if (last) {
        await until('its bytes', async () => last.answer !== null || (await used(team)) > 8.5 * MB);
        assertError(
          await team.send('POST', '/v1/files', uploadForm(examples(2 * MB))),
          403,
          'quota_exceeded',
        );
        last.finish();
        await until('an answer', () => last.answer !== null);
        assert.deepEqual(last.answer, { status: 200, code: undefined });
        assert.equal(await used(team), lines.length, 'as the file has');
      } else await until('the release', async () => (await used(team)) === 0);
    } finally {
      for (const { hangUp } of uploads) hangUp();
    }
  });

test('what is refused or broken off is released at once', async () => {
  const team = await teamWithQuota();
  const lines = examples(9 * MB);
  const broken = slowUpload(team, '/v1/files', { field: 'file', lines, known: true });
  await until('its bytes', async () => (await used(team)) > 8 * MB);
  broken.hangUp();
  await until('their release', async () => (await used(team)) === 0);
  const bad = await team.send('POST', '/v1/files', uploadForm(`${lines}{"nonsense":1}\n`));
  assertError(bad, 400, 'invalid_jsonl', 'file');
  assert.equal(await used(team), 0);
  assert.equal((await team.send('POST', '/v1/files', uploadForm(lines))).status, 200);
});

test('parts that are sent 16 times at once take no more than the upload has announced', async () => {
  const team = await teamWithQuota();
  const before = await onDisk();
  const lines = examples(9 * MB);
  const announced = await team.send('POST', '/v1/uploads', {
    filename: 'a.jsonl',
    purpose: 'fine-tune',
    bytes: lines.length,
    mime_type: 'text/jsonl',
  });
  assert.equal(await used(team), lines.length);
  const path = `/v1/uploads/${announced.json.id}/parts`;
  const parts = Array.from({ length: many }, () =>
    slowUpload(team, path, { field: 'data', lines, known: true }),
  );
  const received = async () => {
    const rows = await bench.services.db.incomingBytes.findMany({ where: { teamId: team.teamId } });
    return rows.reduce((sum, { bytes }) => sum + Number(bytes), 0);
  };
  try {
    await sleep(500);
    await until('bytes', async () => (await received()) > 0 || (await onDisk()) - before > quota);
    assert.ok((await onDisk()) - before <= quota, `${(await onDisk()) - before} bytes on disk`);
    assert.ok((await received()) <= lines.length);
    for (const { finish } of parts) finish();
    await until('answers', () => parts.every(({ answer }) => answer));
    // Uploads that arrive once the part is stored get it; others must be sent again.
    for (const { answer } of parts) assert.ok(answer!.status === 200 || answer!.code === 'resource_busy');
    assert.ok((await onDisk()) - before <= quota);
    assert.equal(await used(team), lines.length);
  } finally {
    for (const { hangUp } of parts) hangUp();
  }
  const form = () => {
    const data = new FormData();
    data.set('data', new Blob([lines]), 'a');
    return data;
  };
  const again = await team.send('POST', path, form());
  assert.equal(again.status, 200, again.text);
  assert.equal((await team.send('POST', path, form())).json.id, again.json.id, 'sent once more');
  const other = new FormData();
  other.set('data', new Blob([lines.slice(0, -1)]), 'a');
  assertError(await team.send('POST', path, other), 413, 'part_too_large', 'data');
  assert.equal((await bench.services.db.incomingBytes.findMany()).length, 0);
  const complete = await team.send('POST', `/v1/uploads/${announced.json.id}/complete`, {
    part_ids: [again.json.id],
  });
  assert.equal(complete.status, 200, complete.text);
  assert.equal(await used(team), lines.length, 'once, as a file');
});

test('a part that arrives slowly takes no more of its upload than it has, and leaves the rest to another', async () => {
  const team = await teamWithQuota(40 * MB);
  const lines = examples(12 * MB);
  const announced = await team.send('POST', '/v1/uploads', {
    filename: 'a.jsonl',
    purpose: 'fine-tune',
    bytes: 2 * lines.length,
    mime_type: 'text/jsonl',
  });
  const path = `/v1/uploads/${announced.json.id}/parts`;
  const slow = slowUpload(team, path, { field: 'data', lines, known: true });
  try {
    await until('its bytes', async () => {
      const { _sum } = await bench.services.db.incomingBytes.aggregate({ _sum: { bytes: true } });
      return Number(_sum.bytes) > lines.length - 1000;
    });
    const other = new FormData();
    other.set('data', new Blob([lines.replace('a', 'c')]), 'c');
    const answer = await team.send('POST', path, other);
    assert.equal(answer.status, 200, answer.text);
    slow.finish();
    await until('an answer', () => slow.answer !== null);
    assert.deepEqual(slow.answer, { status: 200, code: undefined });
  } finally {
    slow.hangUp();
  }
});

test('cancelled and expired uploads are released', async () => {
  const team = await teamWithQuota();
  const announce = async () =>
    await team.send('POST', '/v1/uploads', {
      filename: 'a.jsonl',
      purpose: 'fine-tune',
      bytes: 9 * MB,
      mime_type: 'text/jsonl',
    });
  const first = await announce();
  assertError(await announce(), 403, 'quota_exceeded');
  await team.send('POST', `/v1/uploads/${first.json.id}/cancel`);
  assert.equal(await used(team), 0);
  const second = await announce();
  await bench.services.sql.query("UPDATE uploads SET expires_at = now() - interval '1 s' WHERE id = $1", [
    second.json.id,
  ]);
  await expireUploads(bench.services);
  assert.equal(await used(team), 0);
});

test('adapters count while they arrive, and what a dead process has left ends by itself', async () => {
  const team = await teamWithQuota();
  const { sql } = bench.services;
  const left = `INSERT INTO incoming_bytes (id, team_id, bytes, expires_at)
    VALUES ('left', $1, $2, now() + interval '1 minute')`;
  await sql.query(left, [team.teamId, quota - 100]);
  const adapter = filesOf(await soundAdapter(bench));
  assertError(await sendAdapter(team, adapter), 403, 'quota_exceeded');
  assert.equal(await used(team), quota - 100);
  await sql.query("UPDATE incoming_bytes SET expires_at = now() - interval '1 s'");
  assert.equal(await used(team), 0);
  const { status, text } = await sendAdapter(team, adapter);
  assert.equal(status, 200, text);
  await expireUploads(bench.services);
  assert.equal((await sql.query('SELECT 1 FROM incoming_bytes')).rowCount, 0);
});
