/** Uploads in parts and files with the official `openai` client for Node. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
let client: OpenAI;
before(async () => {
  bench = await openApiBench();
  client = new OpenAI({ baseURL: `${bench.url}/v1`, apiKey: bench.acme.key, maxRetries: 0 });
});
after(async () => await bench?.close());

const lines = Array.from({ length: 300 }, (_, i) => `${chatLine.replace('"a"', `"question ${i}"`)}\n`);
const content = Buffer.from(lines.join(''));

test('an upload in parts becomes a file', async () => {
  const upload = await client.uploads.create({
    bytes: content.length,
    filename: 'train.jsonl',
    mime_type: 'text/jsonl',
    purpose: 'fine-tune',
  });
  assert.deepEqual([upload.object, upload.status, upload.bytes], ['upload', 'pending', content.length]);
  const cut = 10_000;
  const pieces = [content.subarray(0, cut), content.subarray(cut)];
  const parts = await Promise.all(
    pieces.map(
      async (data) => await client.uploads.parts.create(upload.id, { data: await toFile(data, 'part') }),
    ),
  );
  for (const part of parts) assert.deepEqual([part.object, part.upload_id], ['upload.part', upload.id]);
  const part_ids = parts.map(({ id }) => id);
  const md5 = createHash('md5').update(content).digest('hex');
  await assert.rejects(client.uploads.complete(upload.id, { part_ids, md5: '0'.repeat(32) }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.code, error.param], ['md5_mismatch', 'md5']);
    return true;
  });
  const done = await client.uploads.complete(upload.id, { part_ids, md5 });
  assert.equal(done.status, 'completed');
  const file = await client.files.retrieve(done.file!.id);
  assert.deepEqual([file.bytes, file.filename, file.status], [content.length, 'train.jsonl', 'processed']);
  assert.equal(await (await client.files.content(file.id)).text(), content.toString());
});

test('an upload is cancelled, and then takes nothing more', async () => {
  const upload = await client.uploads.create({
    bytes: 10,
    filename: 'a',
    mime_type: 'text/jsonl',
    purpose: 'fine-tune',
  });
  assert.equal((await client.uploads.cancel(upload.id)).status, 'cancelled');
  const data = await toFile(Buffer.from('x'), 'part');
  await assert.rejects(client.uploads.parts.create(upload.id, { data }), { code: 'invalid_upload_state' });
  await assert.rejects(client.uploads.cancel('upload_none'), OpenAI.NotFoundError);
});

test('files are made, awaited, listed page by page and deleted', async () => {
  const made = [];
  for (let i = 0; i < 3; i++) {
    const file = await toFile(Buffer.from(`${chatLine}\n`), `${i}.jsonl`);
    made.push(await client.files.create({ file, purpose: 'fine-tune' }));
  }
  const ready = await client.files.waitForProcessing(made[0]!.id);
  assert.equal(ready.status, 'processed');
  const seen: string[] = [];
  for await (const file of client.files.list({ limit: 2, order: 'asc', purpose: 'fine-tune' }))
    seen.push(file.id);
  assert.deepEqual(
    seen.slice(-3),
    made.map(({ id }) => id),
  );
  for (const { id } of made)
    assert.deepEqual(await client.files.delete(id), { id, object: 'file', deleted: true });
  await assert.rejects(client.files.retrieve(made[0]!.id), OpenAI.NotFoundError);
  const bad = client.files.create({
    file: await toFile(Buffer.from('{}\n'), 'bad.jsonl'),
    purpose: 'fine-tune',
  });
  await assert.rejects(
    bad,
    (error) => error instanceof OpenAI.BadRequestError && error.code === 'invalid_jsonl',
  );
});
