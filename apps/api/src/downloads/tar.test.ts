import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTar, type Tar, tarDigest } from './tar.ts';

function entry(path: string, content: Buffer) {
  return {
    path,
    bytes: content.length,
    async *read(start: number, end: number) {
      yield content.subarray(start, end);
    },
  };
}

async function bytesOf(tar: Tar, start = 0, end = tar.bytes): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of tar.read(start, end)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const files = [
  entry('b/adapter_model.safetensors', Buffer.alloc(5000, 7)),
  entry('adapter_config.json', Buffer.from('{"r": 8}')),
  entry('exact.bin', Buffer.alloc(1024, 1)),
  entry('empty', Buffer.alloc(0)),
];

test('the tar command unpacks every file as it was', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'graft-tar-'));
  try {
    writeFileSync(join(folder, 'x.tar'), await bytesOf(await createTar(files)));
    execFileSync('tar', ['-xf', 'x.tar'], { cwd: folder });
    assert.deepEqual(readFileSync(join(folder, 'b/adapter_model.safetensors')), Buffer.alloc(5000, 7));
    assert.equal(readFileSync(join(folder, 'adapter_config.json'), 'utf8'), '{"r": 8}');
    assert.deepEqual(readFileSync(join(folder, 'exact.bin')), Buffer.alloc(1024, 1));
    assert.deepEqual(readdirSync(folder).sort(), ['adapter_config.json', 'b', 'empty', 'exact.bin', 'x.tar']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the order of entries changes nothing, and every range is a slice of the whole', async () => {
  const tar = await createTar(files);
  const whole = await bytesOf(tar);
  assert.equal(whole.length, tar.bytes);
  assert.equal(await tarDigest(await createTar(files.toReversed())), await tarDigest(tar));
  for (const [start, end] of [
    [0, 1],
    [511, 513],
    [600, 9000],
    [tar.bytes - 1, tar.bytes],
    [1536, 1536],
  ] as const) {
    assert.deepEqual(await bytesOf(tar, start, end), whole.subarray(start, end));
  }
});
