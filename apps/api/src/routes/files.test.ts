import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFile } from '@graft/service/files';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, answerOf, chatLine, openApiBench, uploadForm } from '../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench({ uploadIdleMs: 2000 }, { GRAFT_MAX_UPLOAD_BYTES: '100000' });
});
after(async () => await bench?.close());

/** All completely or partly stored uploads. */
async function storedFiles(): Promise<string[]> {
  const entries = await readdir(join(bench.services.env.dataDir, 'files'), {
    recursive: true,
    withFileTypes: true,
  }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/** Waits for the number of stored files, since an aborted upload gets no response. */
async function untilStored(count: number): Promise<void> {
  const end = performance.now() + 30_000;
  for (;;) {
    const found = await storedFiles();
    if (found.length === count) return;
    assert.ok(performance.now() < end, `waited in vain for ${count} files; there are ${found.join(', ')}`);
    await sleep(20);
  }
}

async function rows(): Promise<number> {
  const { rows } = await bench.services.sql.query<{ n: number }>('SELECT count(*)::int AS n FROM files');
  return rows[0]!.n;
}

/** Checks that `refused`, which fails with an error, leaves neither row nor bytes. */
async function leavesNothing(refused: () => Promise<void>): Promise<void> {
  const before = [await rows(), (await storedFiles()).length];
  await refused();
  assert.deepEqual([await rows(), (await storedFiles()).length], before);
}

describe('files', () => {
  test('upload, get, content, delete', async () => {
    const { acme } = bench;
    const content = `${chatLine}\n${chatLine}\n`;
    const uploaded = await acme.send('POST', '/v1/files', uploadForm(content, '../données 1.jsonl'));
    assert.equal(uploaded.status, 200, uploaded.text);
    const file = uploaded.json;
    assert.match(file.id, /^file-[0-9A-Za-z]{24}$/);
    assert.equal(file.object, 'file');
    assert.equal(file.purpose, 'fine-tune');
    assert.equal(file.status, 'processed');
    assert.equal(file.bytes, Buffer.byteLength(content));
    assert.equal(file.sha256, createHash('sha256').update(content).digest('hex'));
    assert.equal(file.examples, 2);
    assert.equal(file.format, 'chat');
    assert.ok(Math.abs(file.created_at - Date.now() / 1000) < 60);
    assert.equal(file.filename, 'données 1.jsonl');

    assert.deepEqual((await acme.send('GET', `/v1/files/${file.id}`)).json, file);
    const download = await acme.send('GET', `/v1/files/${file.id}/content`);
    assert.equal(download.text, content);
    assert.equal(download.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(download.headers.get('x-content-sha256'), file.sha256);
    assert.match(
      download.headers.get('content-disposition')!,
      /^attachment; filename=".*"; filename\*=UTF-8''donn/,
    );
    const part = await acme.send('GET', `/v1/files/${file.id}/content`, undefined, { range: 'bytes=1-8' });
    assert.equal(part.status, 206);
    assert.equal(part.text, content.slice(1, 9));

    const deleted = await acme.send('DELETE', `/v1/files/${file.id}`);
    assert.deepEqual(deleted.json, { id: file.id, object: 'file', deleted: true });
    assertError(await acme.send('GET', `/v1/files/${file.id}`), 404, 'file_not_found');
    assert.deepEqual(await storedFiles(), []);
  });

  test('parts in any order', async () => {
    const form = new FormData();
    form.set('file', new Blob([chatLine]), 'a.jsonl');
    form.set('purpose', 'fine-tune');
    assert.equal((await bench.acme.send('POST', '/v1/files', form)).status, 200);
  });

  test('lists by purpose, order, after and limit', async () => {
    const team = bench.other;
    const ids = [await team.upload(chatLine), await team.upload(chatLine), await team.upload(chatLine)];
    const list = async (query: string) => (await team.send('GET', `/v1/files?${query}`)).json;
    const all = await list('');
    assert.deepEqual(
      all.data.map((file: { id: string }) => file.id),
      ids.toReversed(),
    );
    assert.deepEqual([all.object, all.has_more, all.first_id, all.last_id], ['list', false, ids[2], ids[0]]);
    const first = await list('order=asc&limit=2&purpose=fine-tune');
    assert.deepEqual([first.has_more, first.first_id, first.last_id], [true, ids[0], ids[1]]);
    const second = await list(`order=asc&limit=2&after=${first.last_id}`);
    assert.deepEqual([second.has_more, second.first_id, second.last_id], [false, ids[2], ids[2]]);
    const sha256 = createHash('sha256').update(chatLine).digest('hex');
    assert.deepEqual(await list(`sha256=${sha256}`), all);
    assert.deepEqual((await list(`sha256=${sha256.replace(/./, 'g')}`)).error?.param, 'sha256');
    assert.deepEqual((await list(`sha256=${'0'.repeat(64)}`)).data, []);
    const none = await list('purpose=fine-tune-results');
    assert.deepEqual(none, { object: 'list', data: [], has_more: false, first_id: null, last_id: null });
    assertError(await team.send('GET', '/v1/files?limit=0'), 400, 'invalid_value', 'limit');
    assertError(await team.send('GET', '/v1/files?limit=x'), 400, 'invalid_value', 'limit');
    assertError(await team.send('GET', '/v1/files?order=up'), 400, 'invalid_value', 'order');
    assertError(await team.send('GET', '/v1/files?limt=1'), 400, 'unknown_parameter', 'limt');
    assertError(await team.send('GET', '/v1/files?after=file-none'), 400, 'invalid_cursor', 'after');
  });

  test("another team's file is as unknown as none", async () => {
    const id = await bench.acme.upload(chatLine);
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/content'],
    ] as const) {
      const foreign = await bench.other.send(method, `/v1/files/${id}${path}`);
      const unknown = await bench.other.send(method, `/v1/files/file-${'x'.repeat(24)}${path}`);
      assertError(foreign, 404, 'file_not_found');
      assert.equal(foreign.text.replaceAll(id, '?'), unknown.text.replaceAll(`file-${'x'.repeat(24)}`, '?'));
    }
    assertError(await bench.other.send('GET', `/v1/files?after=${id}`), 400, 'invalid_cursor');
    const mine = await bench.acme.send('GET', `/v1/files/${id}`);
    assert.equal(mine.status, 200);
  });

  test('every bad line is reported and nothing stays', async () => {
    await leavesNothing(async () => {
      const lines = [
        chatLine,
        '{"messages": [}',
        chatLine,
        '{"text": 5}',
        '{"nothing": 1}',
        '{"messages":[{"role":"user","content":"a"}]}',
      ].join('\n');
      const answer = await bench.acme.send('POST', '/v1/files', uploadForm(lines));
      const message = assertError(answer, 400, 'invalid_jsonl', 'file');
      for (const line of [2, 4, 5, 6]) assert.match(message, new RegExp(`line ${line} `));
      const { details } = answer.json.error;
      assert.deepEqual(
        details.map(({ line }: { line: number }) => line),
        [2, 4, 5, 6],
      );
      assert.match(details[1].message, /"text"/);
      assert.doesNotMatch(message, /line [13] /);
    });
  });

  test('a fault that many lines have is described once, and every line is in its details', async () => {
    const bad = (count: number) => '{}\n'.repeat(count);
    // Lines 1-150 and, after a valid one and blank ones, 155-156.
    const lines = `${bad(150)}${chatLine}\n\n  \n\r\n${bad(1)}{"messages": [`;
    const answer = await bench.acme.send('POST', '/v1/files', uploadForm(lines));
    const message = assertError(answer, 400, 'invalid_jsonl');
    assert.match(
      message,
      /^line 1 holds no example;[^;]*\(the same fault in lines 2-150, 155\); line 156 is not valid JSON[^;]*: 152 bad lines in all$/,
    );
    const { details } = answer.json.error;
    assert.deepEqual(
      details.map(({ line, count, lines }: Record<string, unknown>) => [line, count, lines]),
      [
        [
          1,
          151,
          [
            [1, 150],
            [155, 155],
          ],
        ],
        [156, undefined, undefined],
      ],
    );
    // Beyond what the event loop checks itself, so that the details come from a thread.
    const long = await bench.acme.send('POST', '/v1/files', uploadForm(bad(5000)));
    assertError(long, 400, 'invalid_jsonl');
    assert.deepEqual(
      long.json.error.details.map(({ count, lines }: Record<string, unknown>) => [count, lines]),
      [[5000, [[1, 5000]]]],
    );
  });

  test('of many different faults the message shows ten, and the details a hundred', async () => {
    const roles = (count: number) =>
      Array.from({ length: count }, (_, i) => {
        const role = String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26));
        return JSON.stringify({ messages: [{ role, content: 'a' }] });
      }).join('\n');
    const some = await bench.acme.send('POST', '/v1/files', uploadForm(roles(117)));
    const message = assertError(some, 400, 'invalid_jsonl');
    assert.match(message, /line 10 [^\n]*; and 107 more bad lines: 117 bad lines in all$/);
    assert.doesNotMatch(message, /line 11 /);
    assert.equal(some.json.error.details.length, 100);
    // Scattered lines are listed up to a limit.
    const scattered = Array.from({ length: 4000 }, (_, i) => (i % 2 ? '{"text":"a"}' : '{}')).join('\n');
    const { json } = await bench.acme.send('POST', '/v1/files', uploadForm(scattered));
    const [fault] = json.error.details;
    assert.deepEqual([fault.count, fault.lines.length, fault.lines.at(-1)], [2000, 1000, [1999, 1999]]);
    assert.match(
      json.error.message,
      /\(the same fault in lines 3, 5, 7, 9, 11, 13, 15, 17, 19, 21 and 1989 more\): 2000 bad lines in all$/,
    );
  });

  test('examples without anything to learn are refused, each for its reason, and nothing stays', async () => {
    const cases = {
      '{"text":""}': /line 1 .*"text" is empty/,
      '{"messages":[]}': /line 1 .*at least one message/,
      '{"messages":[{"role":"user","content":"a"}]}': /line 1 .*no assistant message to train on/,
      '{"messages":[{"role":"assistant","content":""}]}': /line 1 .*is an empty assistant message/,
      '{"prompt":"a","completion":""}': /line 1 .*"completion" is empty/,
      '{"tokens":["a"],"labels":[-100]}': /line 1 .*no label to learn/,
      ' \n\r\n\n': /holds no examples/,
    };
    for (const [content, reason] of Object.entries(cases)) {
      await leavesNothing(async () => {
        const answer = await bench.acme.send('POST', '/v1/files', uploadForm(content));
        const code = content.startsWith('{') ? 'invalid_jsonl' : 'empty_file';
        assert.match(assertError(answer, 400, code, 'file'), reason);
      });
    }
  });

  test('refused: empty, no file, no or wrong purpose, unknown parts, not multipart', async () => {
    const send = async (form: FormData) => await bench.acme.send('POST', '/v1/files', form);
    const form = (change: (form: FormData) => void) => {
      const made = uploadForm(chatLine);
      change(made);
      return made;
    };
    await leavesNothing(async () => {
      assertError(await send(uploadForm('')), 400, 'empty_file');
      assertError(await send(form((f) => f.delete('file'))), 400, 'missing_required_parameter', 'file');
      assertError(await send(form((f) => f.delete('purpose'))), 400, 'missing_required_parameter', 'purpose');
      assertError(await send(form((f) => f.set('purpose', 'vision'))), 400, 'invalid_value', 'purpose');
      assertError(await send(form((f) => f.set('porpoise', 'x'))), 400, 'unknown_parameter', 'porpoise');
      assertError(
        await send(
          form((f) => {
            f.delete('file');
            f.set('file2', new Blob(['x']), 'x');
          }),
        ),
        400,
        'unknown_parameter',
        'file2',
      );
      assertError(
        await send(form((f) => f.set('expires_after[seconds]', '60'))),
        400,
        'unsupported_parameter',
        'expires_after',
      );
      const twice = form((f) => f.append('file', new Blob([chatLine]), 'again.jsonl'));
      assertError(await send(twice), 400, 'invalid_value', 'file');
      assertError(
        await bench.acme.send('POST', '/v1/files', { purpose: 'fine-tune' }),
        415,
        'unsupported_media_type',
      );
      // Refused before it is read: nothing that is no form has the limit of a file.
      const large = await bench.acme.send('POST', '/v1/files', `{"a": "${'x'.repeat(2 ** 21)}"`);
      assertError(large, 415, 'unsupported_media_type');
      const broken = await bench.acme.send('POST', '/v1/files', 'no boundary here', {
        'content-type': 'multipart/form-data; boundary=abc',
      });
      assertError(broken, 400, 'upload_incomplete');
      const unbound = await bench.acme.send('POST', '/v1/files', 'x', {
        'content-type': 'multipart/form-data',
      });
      assertError(unbound, 400, 'upload_incomplete');
    });
  });

  test('too large: 413, read to its end, nothing stays', async () => {
    await leavesNothing(async () => {
      const large = `${chatLine}\n`.repeat(20_000);
      assertError(
        await bench.acme.send('POST', '/v1/files', uploadForm(large)),
        413,
        'file_too_large',
        'file',
      );
    });
  });

  test('an upload cut off midway leaves nothing', async () => {
    await leavesNothing(async () => {
      const before = (await storedFiles()).length;
      for (const ending of ['destroy', 'stall'] as const) {
        const socket = connect(Number(new URL(bench.url).port), '127.0.0.1');
        socket.on('error', () => {});
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.write(
          `POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bench.acme.key}\r\n` +
            'Content-Type: multipart/form-data; boundary=bb\r\nContent-Length: 100000\r\n\r\n' +
            '--bb\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n' +
            `--bb\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n${chatLine}\n${chatLine}`,
        );
        // The received bytes are in a temporary file.
        await untilStored(before + 1);
        if (ending === 'destroy') socket.destroy();
        await closed;
        await untilStored(before);
      }
    });
  });

  test('a body that ends inside the multipart frame leaves nothing', async () => {
    await leavesNothing(async () => {
      const body = `--bb\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n${chatLine}\n`;
      const answer = await bench.acme.send('POST', '/v1/files', body, {
        'content-type': 'multipart/form-data; boundary=bb',
      });
      assertError(answer, 400, 'upload_incomplete');
    });
  });

  test('a viewer reads but does not write', async () => {
    const viewer = await bench.caller(bench.acme, 'viewer');
    assert.equal((await viewer.send('GET', '/v1/files')).status, 200);
    assertError(await viewer.send('POST', '/v1/files', uploadForm(chatLine)), 403, 'insufficient_role');
    const id = await bench.acme.upload(chatLine);
    assertError(await viewer.send('DELETE', `/v1/files/${id}`), 403, 'insufficient_role');
    assertError(await viewer.send('DELETE', '/v1/files/file-unknown'), 403, 'insufficient_role');
  });

  test('a file that a live job needs stays', async () => {
    const id = await bench.acme.upload(chatLine);
    const job = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file: id });
    assert.equal(job.status, 200, job.text);
    assertError(await bench.acme.send('DELETE', `/v1/files/${id}`), 400, 'file_in_use');
    await bench.acme.send('POST', `/v1/fine_tuning/jobs/${job.json.id}/cancel`);
    assert.equal((await bench.acme.send('DELETE', `/v1/files/${id}`)).status, 200);
  });

  test('a file whose bytes are missing is an internal error, reported without a path', async () => {
    const stored = { path: 'x'.repeat(24), bytes: 3, sha256: '0'.repeat(64) };
    const file = await createFile(bench.services, bench.acme.teamId, {
      ...stored,
      filename: 'x',
      purpose: 'fine-tune',
      status: 'processed',
      format: 'text',
      examples: 1,
      keyId: 'key-test',
    });
    const response = await fetch(`${bench.url}/v1/files/${file.id}/content`, {
      headers: { authorization: `Bearer ${bench.acme.key}` },
    });
    const answer = await answerOf(response);
    assertError(answer, 500, 'internal_error');
    assert.ok(!answer.text.includes('/'));
  });
});
