import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AdapterVersion } from '@graft/service/adapters';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

let bench: ApiBench;
let versions: AdapterVersion[];
let files: Record<string, Buffer>;
before(async () => {
  bench = await openApiBench();
  const first = await publishAdapter(bench, bench.acme, 'poet');
  const second = await publishAdapter(bench, bench.acme, 'poet');
  const third = await publishAdapter(bench, bench.acme, 'clerk');
  versions = [first.version, second.version, third.version];
  files = second.files;
});
after(async () => await bench?.close());

/** Requests a download. */
async function download(headers: Record<string, string> = {}, method = 'GET') {
  const { adapterId } = versions[1]!;
  const response = await fetch(`${bench.url}/v1/adapters/${adapterId}/versions/2/download`, {
    method,
    headers: { authorization: `Bearer ${bench.acme.key}`, ...headers },
  });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}

describe('adapters', () => {
  test('list, get, versions', async () => {
    const { acme } = bench;
    const list = (await acme.send('GET', '/v1/adapters')).json;
    assert.deepEqual(
      list.data.map((each: { name: string; latest_version: number }) => [each.name, each.latest_version]),
      [
        ['clerk', 1],
        ['poet', 2],
      ],
    );
    const first = (await acme.send('GET', '/v1/adapters?limit=1')).json;
    assert.equal(first.has_more, true);
    const rest = (await acme.send('GET', `/v1/adapters?limit=1&after=${first.last_id}`)).json;
    assert.deepEqual([rest.data.length, rest.data[0].name, rest.has_more], [1, 'poet', false]);

    const [adapter] = rest.data;
    assert.deepEqual((await acme.send('GET', `/v1/adapters/${adapter.id}`)).json, adapter);
    const all = (await acme.send('GET', `/v1/adapters/${adapter.id}/versions`)).json;
    assert.deepEqual(
      all.data.map((each: { version: number }) => each.version),
      [2, 1],
    );
    const version = (await acme.send('GET', `/v1/adapters/${adapter.id}/versions/2`)).json;
    assert.deepEqual(version, all.data[0]);
    assert.equal(version.model, versions[1]!.modelName);
    assert.match(version.model, /^ft:tiny:acme:poet:[0-9A-Za-z]{8}$/);
    assert.equal(version.peft.r, 16);
    assert.deepEqual(version.runtimes, ['Graft', 'HF PEFT', 'vLLM', 'TGI', 'llama.cpp (converted)']);
    assert.deepEqual(
      version.files.map((each: { path: string }) => each.path),
      ['adapter_config.json', 'adapter_model.safetensors'],
    );
  });

  test('a part of the name finds them, and their tags are listed', async () => {
    const { acme, other } = bench;
    const found = async (search: string, by = acme) => {
      const { json } = await by.send('GET', `/v1/adapters?${new URLSearchParams({ search })}`);
      return json.data.map(({ name }: { name: string }) => name);
    };
    assert.deepEqual(await found('OE'), ['poet']);
    assert.deepEqual(await found('e'), ['clerk', 'poet']);
    // Wildcards of LIKE match only themselves.
    for (const search of ['_', '%', 'po%', 'p_et', '\\', 'none']) assert.deepEqual(await found(search), []);
    assert.deepEqual(await found('poet', other), []);
    assertError(await acme.send('GET', '/v1/adapters?search='), 400, 'invalid_value', 'search');

    const { adapterId } = versions[0]!;
    for (const [tag, version] of [
      ['production', 1],
      ['canary', 2],
    ] as const)
      await acme.send('POST', `/v1/adapters/${adapterId}/tags`, { tag, version });
    const tagged = (await acme.send('GET', `/v1/adapters/${adapterId}`)).json;
    assert.deepEqual(tagged.tags, [
      { tag: 'canary', model: 'ft:tiny:acme:poet:canary', version: 2 },
      { tag: 'production', model: 'ft:tiny:acme:poet:production', version: 1 },
    ]);
    const listed = (await acme.send('GET', '/v1/adapters')).json.data;
    assert.deepEqual([listed[0].tags, listed[1]], [[], tagged]);
  });

  test('the job names its model', async () => {
    const job = (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${versions[1]!.jobId}`)).json;
    assert.deepEqual(
      [job.status, job.fine_tuned_model, job.trained_tokens],
      ['succeeded', versions[1]!.modelName, 123],
    );
  });

  test('what is not there', async () => {
    const { acme } = bench;
    assertError(await acme.send('GET', '/v1/adapters/adpt-none'), 404, 'adapter_not_found');
    assertError(await acme.send('GET', '/v1/adapters/adpt-none/versions'), 404, 'adapter_not_found');
    assertError(await acme.send('GET', '/v1/adapters/adpt-none/versions/1'), 404, 'adapter_not_found');
    const { adapterId } = versions[0]!;
    const third = `/v1/adapters/${adapterId}/versions/3`;
    assertError(await acme.send('GET', third), 404, 'adapter_version_not_found', 'version');
    assertError(await acme.send('GET', `${third}/download`), 404, 'adapter_version_not_found');
    for (const version of ['0', 'x', '1.5', '99999999999']) {
      assertError(
        await acme.send('GET', `/v1/adapters/${adapterId}/versions/${version}`),
        400,
        'invalid_value',
      );
    }
  });

  test("another team's adapter is as unknown as none", async () => {
    const { adapterId } = versions[0]!;
    const unknown = `adpt-${'x'.repeat(24)}`;
    for (const tail of ['', '/versions', '/versions/1', '/versions/1/download']) {
      const foreign = await bench.other.send('GET', `/v1/adapters/${adapterId}${tail}`);
      const none = await bench.other.send('GET', `/v1/adapters/${unknown}${tail}`);
      assertError(foreign, 404, 'adapter_not_found');
      assert.equal(foreign.text.replace(adapterId, '?'), none.text.replace(unknown, '?'));
    }
    assert.deepEqual((await bench.other.send('GET', '/v1/adapters')).json.data, []);
  });
});

describe('downloads', () => {
  test('a tar of the files, with length, digest and name', async () => {
    const { response, bytes } = await download();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/x-tar');
    assert.equal(Number(response.headers.get('content-length')), bytes.length);
    assert.match(response.headers.get('content-disposition')!, /^attachment; filename="poet-v2.tar"/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    const sha256 = createHash('sha256').update(bytes);
    const hex = sha256.copy().digest('hex');
    assert.equal(response.headers.get('x-content-sha256'), hex);
    assert.equal(response.headers.get('repr-digest'), `sha-256=:${sha256.digest('base64')}:`);
    assert.equal(response.headers.get('etag'), `"sha256-${hex}"`);

    const folder = mkdtempSync(join(tmpdir(), 'graft-download-'));
    try {
      writeFileSync(join(folder, 'a.tar'), bytes);
      execFileSync('tar', ['-xf', 'a.tar'], { cwd: folder });
      for (const [name, content] of Object.entries(files)) {
        assert.deepEqual(readFileSync(join(folder, name)), content);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('ranges put together are the whole', async () => {
    const whole = (await download()).bytes;
    const parts: Buffer[] = [];
    for (let start = 0; start < whole.length; start += 40_001) {
      const { response, bytes } = await download({ range: `bytes=${start}-${start + 40_000}` });
      const end = Math.min(start + 40_000, whole.length - 1);
      assert.equal(response.status, 206);
      assert.equal(response.headers.get('content-range'), `bytes ${start}-${end}/${whole.length}`);
      parts.push(bytes);
    }
    assert.deepEqual(Buffer.concat(parts), whole);
  });

  test('If-Range, If-None-Match, HEAD, a range outside', async () => {
    const whole = await download();
    const etag = whole.response.headers.get('etag')!;
    const resumed = await download({ range: 'bytes=100-', 'if-range': etag });
    assert.equal(resumed.response.status, 206);
    assert.deepEqual(resumed.bytes, whole.bytes.subarray(100));
    const changed = await download({ range: 'bytes=100-', 'if-range': '"other"' });
    assert.equal(changed.response.status, 200);
    assert.deepEqual(changed.bytes, whole.bytes);
    const known = await download({ 'if-none-match': `"x", W/${etag}` });
    assert.deepEqual([known.response.status, known.bytes.length], [304, 0]);
    const head = await download({}, 'HEAD');
    assert.equal(head.response.status, 200);
    assert.equal(Number(head.response.headers.get('content-length')), whole.bytes.length);
    assert.equal(head.response.headers.get('etag'), etag);
    const outside = await download({ range: 'bytes=99999999-' });
    assert.equal(outside.response.headers.get('content-range'), `bytes */${whole.bytes.length}`);
    const json = JSON.parse(outside.bytes.toString());
    assertError(
      { status: outside.response.status, headers: outside.response.headers, json },
      416,
      'range_not_satisfiable',
    );
  });
});

describe('models', () => {
  test('base models and fine-tuned ones', async () => {
    const { acme, other } = bench;
    const list = (await acme.send('GET', '/v1/models')).json;
    const ids = list.data.map((model: { id: string }) => model.id);
    assert.ok(ids.includes('tiny'));
    for (const { modelName } of versions) assert.ok(ids.includes(modelName));
    const { modelName, adapterId, jobId } = versions[1]!;
    const paged: string[] = [];
    for (let more = true; more; ) {
      const after = paged.length > 0 ? `&after=${encodeURIComponent(paged.at(-1)!)}` : '';
      const page = (await acme.send('GET', `/v1/models?limit=2${after}`)).json;
      assert.ok(page.data.length > 0 && page.data.length <= 2);
      paged.push(...page.data.map(({ id }: { id: string }) => id));
      more = page.has_more;
    }
    assert.deepEqual(
      paged,
      list.data.map(({ id }: { id: string }) => id),
    );
    assertError(await acme.send('GET', '/v1/models?after=none'), 400, 'invalid_cursor', 'after');
    const model = (await acme.send('GET', `/v1/models/${modelName}`)).json;
    assert.deepEqual(
      [model.object, model.owned_by, model.base_model, model.adapter, model.job],
      ['model', acme.teamId, 'tiny', { id: adapterId, version: 2 }, jobId],
    );
    assert.deepEqual((await acme.send('GET', `/v1/models/${encodeURIComponent(modelName)}`)).json, model);
    assert.equal((await acme.send('GET', '/v1/models/tiny')).json.owned_by, 'graft');
    assertError(await acme.send('GET', '/v1/models/org/none'), 404, 'model_not_found', 'model');

    const foreign = await other.send('GET', `/v1/models/${modelName}`);
    const none = await other.send('GET', '/v1/models/ft:tiny:acme:poet:xxxxxxxx');
    assertError(foreign, 404, 'model_not_found');
    assert.equal(foreign.text.replace(modelName, '?'), none.text.replace('ft:tiny:acme:poet:xxxxxxxx', '?'));
    const others = (await other.send('GET', '/v1/models')).json.data;
    assert.ok(others.every((each: { id: string }) => !each.id.startsWith('ft:')));
  });

  test('a fine-tuned model can be deleted, by its team alone', async () => {
    const { acme, other } = bench;
    const { modelName, adapterId } = versions[2]!;
    assertError(await acme.send('DELETE', '/v1/models/tiny'), 400, 'model_not_deletable');
    assertError(await other.send('DELETE', `/v1/models/${modelName}`), 404, 'model_not_found');
    const deleted = await acme.send('DELETE', `/v1/models/${modelName}`);
    assert.deepEqual(deleted.json, { id: modelName, object: 'model', deleted: true });
    assertError(await acme.send('DELETE', `/v1/models/${modelName}`), 404, 'model_not_found');
    assertError(await acme.send('GET', `/v1/adapters/${adapterId}`), 404, 'adapter_not_found');
  });
});
