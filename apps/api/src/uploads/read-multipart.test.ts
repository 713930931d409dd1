import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import multipart, { type MultipartFile } from '@fastify/multipart';
import fastify from 'fastify';
import { readMultipart } from './read-multipart.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const MiB = 1024 * 1024;

test('pieces of an upload are freed as they are read', async (t) => {
  const app = fastify();
  await app.register(multipart, { limits: { fileSize: 128 * MiB } });
  let bytes = 0;
  let held = Number.NaN;
  app.post('/', async (req) => {
    await readMultipart(req, { idleMs: 10_000, file: 'file' }, async (body) => {
      for await (const part of body.parts()) {
        for await (const piece of body.bytes(part as MultipartFile)) {
          bytes += piece.length;
          if (bytes < 90 * MiB || !Number.isNaN(held)) continue;
          collectGarbage();
          held = process.memoryUsage().arrayBuffers;
        }
      }
    });
    return 'read';
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const boundary = 'graft-test';
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\ncontent-type: text/plain\r\n\r\n`;
  const chunk = Buffer.alloc(MiB, 'a');
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    const sending = request({ port, method: 'POST', headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sending.on('error', reject);
    sending.write(head);
    let sent = 0;
    const send = () => {
      while (sent < 96) {
        sent++;
        if (!sending.write(chunk)) return sending.once('drain', send);
      }
      return sending.end(`\r\n--${boundary}--\r\n`);
    };
    send();
  });
  assert.deepEqual([status, bytes], [200, 96 * MiB]);
  assert.ok(held < 24 * MiB, `${held} bytes are held after ${bytes}`);
});
