/** Responses when the store or the database fails in the middle of an upload or a download. */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dataFolder } from '@graft/service/data-folder';
import { withSystemScope } from '@graft/service/database';
import { loadServiceEnv } from '@graft/service/environment';
import { getFile } from '@graft/service/files';
import { createApiKey } from '@graft/service/keys';
import { createLogger } from '@graft/service/logger';
import { openServices, type Services } from '@graft/service/services';
import { mountSmallDisk, openCommitProxy, openCuttableProxy } from '@graft/service/testing';
import { buildApp } from '../app.ts';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, answerOf, chatLine, openApiBench, uploadForm } from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

/** Runs the API on the bench's rows and store, with another address of Postgres and some services changed. */
async function withApi(
  databaseUrl: string,
  work: (
    send: (method: string, path: string, body?: FormData) => ReturnType<typeof answerOf>,
  ) => Promise<void>,
  change: (services: Services) => Partial<Services> = () => ({}),
  dataDir = bench.services.env.dataDir,
): Promise<void> {
  const env = loadServiceEnv({ DATABASE_URL: databaseUrl, GRAFT_DATA_DIR: dataDir });
  const opened = await openServices({
    role: 'api',
    env,
    log: createLogger({ level: 'silent', name: 'test' }),
  });
  const services = { ...opened, ...change(opened) };
  const app = await buildApp(services, { checkResponses: true });
  try {
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const { key } = await withSystemScope(
      async () => await createApiKey(opened, bench.acme.teamId, { name: 'x', role: 'member' }),
    );
    await work(async (method, path, body) => {
      const headers = { authorization: `Bearer ${key}` };
      return await answerOf(await fetch(url + path, { method, headers, ...(body ? { body } : {}) }));
    });
  } finally {
    await app.close();
    await opened.close();
  }
}

async function storedFiles(dataDir = bench.services.env.dataDir): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'files'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

test('an upload whose COMMIT is not answered is answered all the same, with one row and its bytes', async () => {
  const proxy = await openCommitProxy(bench.services.databaseUrl);
  try {
    await withApi(proxy.url, async (send) => {
      for (const how of ['answer', 'request'] as const) {
        proxy.cutNextCommit(how);
        const answer = await send('POST', '/v1/files', uploadForm(`${chatLine}\n`, `${how}.jsonl`));
        assert.equal(answer.status, 200, answer.text);
        assert.equal((await send('GET', `/v1/files/${answer.json.id}/content`)).text, `${chatLine}\n`);
        const { data } = (await send('GET', '/v1/files')).json;
        const rows = data.filter((file: { filename: string }) => file.filename === `${how}.jsonl`);
        assert.equal(rows.length, 1);
      }
      assert.equal(proxy.cuts, 2);
    });
  } finally {
    await proxy.close();
  }
});

test('when Postgres stays away the bytes stay: nobody knows whether they have a row', async () => {
  const proxy = await openCuttableProxy(bench.services.databaseUrl);
  const before = (await storedFiles()).length;
  try {
    await withApi(
      proxy.url,
      async (send) => {
        const answer = await send('POST', '/v1/files', uploadForm(chatLine));
        assertError(answer, 503, 'service_unavailable');
        assert.match(answer.headers.get('retry-after')!, /^\d+$/);
        assert.equal((await storedFiles()).length, before + 1);
        await proxy.restore();
      },
      ({ files }) => ({
        files: {
          ...files,
          receive: async (...upload) => {
            const stored = await files.receive(...upload);
            await proxy.cut();
            return stored;
          },
        },
      }),
    );
  } finally {
    await proxy.close();
  }
});

/** Flips one bit of a stored file. Returns a function that restores it. */
async function flipBit(file: string): Promise<() => Promise<void>> {
  const content = await readFile(file);
  const changed = Buffer.from(content);
  changed[changed.length >> 1]! ^= 1;
  await writeFile(file, changed);
  return async () => await writeFile(file, content);
}

describe('a bit that flips in the store', () => {
  test('of a file: 410 instead of the bytes, logged once; once repaired, they are served again', async () => {
    const { acme, services } = bench;
    const id = await acme.upload(`${chatLine}\n${chatLine}\n`);
    const content = `/v1/files/${id}/content`;
    assert.equal((await acme.send('GET', content)).status, 200);
    const { path } = (await getFile(services, acme.teamId, id))!;
    const mend = await flipBit(dataFolder(services.env.dataDir).file(path));
    for (const headers of [{}, { range: 'bytes=0-3' }]) {
      const answer = await acme.send('GET', content, undefined, headers);
      assertError(answer, 410, 'file_corrupt');
      for (const name of ['repr-digest', 'x-content-sha256', 'etag'])
        assert.equal(answer.headers.get(name), null);
    }
    const entries = await services.db.auditEntry.findMany({ where: { target: id, action: 'file.corrupt' } });
    assert.equal(entries.length, 1);
    await mend();
    assert.equal((await acme.send('GET', content)).status, 200);
  });

  test('of an adapter: 410 in place of the tar, and an event of its job', async () => {
    const { acme, services } = bench;
    const { version } = await publishAdapter(bench, acme, 'flipped');
    const download = `/v1/adapters/${version.adapterId}/versions/1/download`;
    assert.equal((await acme.send('GET', download)).status, 200);
    const folder = dataFolder(services.env.dataDir).artifact(version.artifact);
    const mend = await flipBit(join(folder, 'adapter_model.safetensors'));
    for (let time = 0; time < 2; time++) {
      const answer = await acme.send('GET', download);
      assertError(answer, 410, 'artifact_corrupt');
      assert.equal(answer.headers.get('repr-digest'), null);
    }
    const { json } = await acme.send('GET', `/v1/fine_tuning/jobs/${version.jobId}/events`);
    const damage = json.data.filter((event: { message: string }) =>
      event.message.includes('artifact_corrupt'),
    );
    assert.equal(damage.length, 1);
    assert.equal(damage[0].level, 'error');
    await mend();
    assert.equal((await acme.send('GET', download)).status, 200);
  });
});

const disk = mountSmallDisk(12 * 2 ** 20);
after(() => disk?.unmount());

test('a full disk is a 507 that leaves nothing; what was there is served', {
  skip: disk === null && 'only root may mount a disk',
}, async () => {
  const { folder, fill, free } = disk!;
  await copyFile(dataFolder(bench.services.env.dataDir).mark, dataFolder(folder).mark);
  const upload = (lines: number) => uploadForm(`${chatLine}\n`.repeat(lines));
  const work = async (send: Parameters<Parameters<typeof withApi>[1]>[0]) => {
    const { id } = (await send('POST', '/v1/files', upload(10))).json;
    const before = await storedFiles(folder);
    fill(200_000);
    assertError(await send('POST', '/v1/files', upload(20_000)), 507, 'storage_full');
    assert.deepEqual(await storedFiles(folder), before);
    assert.equal((await send('GET', `/v1/files/${id}/content`)).status, 200);
    free();
    assert.equal((await send('POST', '/v1/files', upload(20_000))).status, 200);
  };
  await withApi(bench.services.databaseUrl, work, undefined, folder);
});
