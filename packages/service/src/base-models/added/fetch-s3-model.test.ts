import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { writeTinyModel } from '@graft/peft-core/testing';
import { S3Objects } from '../../storage/s3/s3-objects.ts';
import { openS3Server } from '../../storage/testing/s3-server.ts';
import { fetchS3Model } from './fetch-s3-model.ts';

test('a partial download resumes from the byte where it stopped, unless the object was replaced', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-s3-model-'));
  t.after(async () => await rm(folder, { recursive: true, force: true }));
  const server = await openS3Server();
  t.after(async () => await server.close());
  await writeTinyModel(path.join(folder, 'tiny'));
  const client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true, region: 'us-east-1' });
  t.after(() => client.destroy());
  let all = 0;
  for (const name of await readdir(path.join(folder, 'tiny'))) {
    const content = await readFile(path.join(folder, 'tiny', name));
    all += content.byteLength;
    await client.send(
      new PutObjectCommand({ Bucket: server.bucket, Key: `base/again/${name}`, Body: content }),
    );
  }
  const objects = new S3Objects({ bucket: server.bucket, prefix: 'base/again/', endpoint: server.endpoint });
  const etags = new Map<string, string>();
  for await (const { key, etag } of objects.list('')) etags.set(key, etag);
  objects.close();

  const from = { url: `s3://${server.bucket}/base/again`, file: null, endpoint: server.endpoint };
  const weights = await readFile(path.join(folder, 'tiny', 'model.safetensors'));
  for (const [etag, begun, expected] of [
    [etags.get('model.safetensors')!, weights.subarray(0, 100), [100, weights.byteLength - 100]],
    ['"of another"', Buffer.alloc(100), [0, weights.byteLength]],
  ] as const) {
    const place = path.join(folder, `machine-${expected[0]}`);
    await mkdir(`${place}.unfinished`);
    await writeFile(path.join(`${place}.unfinished`, 'model.safetensors.part'), begun);
    await writeFile(path.join(`${place}.unfinished`, 'model.safetensors.etag'), etag);
    const came: number[] = [];
    await fetchS3Model(from, place, null, { onBytes: (bytes) => void came.push(bytes) });
    assert.deepEqual(await readFile(path.join(place, 'model.safetensors')), weights);
    assert.equal(
      came.reduce((sum, bytes) => sum + bytes, 0),
      all,
    );
    assert.ok(came.includes(expected[0]), String(came));
  }
});
