/** Multipart uploads to a bucket: they complete as on disk, and cancelled and broken uploads leave nothing. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type ApiBench, chatLine, openApiBench } from '../../apps/api/src/testing/open-api-bench.ts';
import { collectGarbage } from '../../packages/service/src/maintenance/collect-garbage.ts';
import { openS3Server } from '../../packages/service/src/storage/testing/s3-server.ts';

let server: Awaited<ReturnType<typeof openS3Server>>;
let bench: ApiBench;
before(async () => {
  server = await openS3Server();
  bench = await openApiBench(
    {},
    { ARTIFACTS_URL: `s3://${server.bucket}/graft`, GRAFT_S3_ENDPOINT: server.endpoint },
  );
});
after(async () => {
  await bench?.close();
  await server?.close();
});

async function stored(): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name } of bench.services.files.list()) paths.push(name);
  return paths;
}

test('parts become one object; those of a cancelled upload go; the collector leaves what rows name', async () => {
  const { acme, services } = bench;
  const line = (i: number) => chatLine.replace('"a"', `"question ${i} ${'x'.repeat(900)}"`);
  const content = Buffer.from(Array.from({ length: 12_000 }, (_, i) => `${line(i)}\n`).join(''));
  const size = 5 * 2 ** 20;
  const begin = async () => {
    const about = { filename: 'a', purpose: 'fine-tune', mime_type: 'text/jsonl', bytes: content.length };
    return (await acme.send('POST', '/v1/uploads', about)).json.id;
  };
  const send = async (id: string) => {
    const ids: string[] = [];
    for (let from = 0; from < content.length; from += size) {
      const form = new FormData();
      form.set('data', new Blob([new Uint8Array(content.subarray(from, from + size))]), 'part');
      ids.push((await acme.send('POST', `/v1/uploads/${id}/parts`, form)).json.id);
    }
    return ids;
  };
  const cancelled = await begin();
  const parts = await send(cancelled);
  assert.equal((await stored()).length, parts.length);
  const tomorrow = new Date(Date.now() + 25 * 3600 * 1000);
  assert.deepEqual(await collectGarbage(services, tomorrow), {
    files: 0,
    artifacts: 0,
    exports: 0,
    checkpoints: 0,
  });
  assert.equal((await stored()).length, parts.length);
  await acme.send('POST', `/v1/uploads/${cancelled}/cancel`);
  assert.deepEqual(await stored(), []);

  const id = await begin();
  const done = await acme.send('POST', `/v1/uploads/${id}/complete`, { part_ids: await send(id) });
  assert.equal(done.status, 200, done.text);
  assert.equal(done.json.file.sha256, createHash('sha256').update(content).digest('hex'));
  assert.equal((await stored()).length, 1);
  const whole = await acme.send('GET', `/v1/files/${done.json.file.id}/content`);
  assert.equal(createHash('sha256').update(whole.text).digest('hex'), done.json.file.sha256);

  // Bytes of a process that stored them but died before it wrote their row.
  await services.files.receive([Buffer.from('x')] as never, { limit: 9 });
  assert.equal((await collectGarbage(services, tomorrow)).files, 1);
});
