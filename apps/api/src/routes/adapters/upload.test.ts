import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type AdapterParts,
  filesOf,
  safetensorsOf,
  sendAdapter,
  soundAdapter,
} from '../../testing/adapter-parts.ts';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';
import { done, says, startScriptedWorker, token } from '../../testing/scripted-worker.ts';

let bench: ApiBench;
let sound: AdapterParts;
before(async () => {
  bench = await openApiBench();
  sound = await soundAdapter(bench);
});
after(async () => await bench?.close());

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');

describe('an adapter that was made elsewhere', () => {
  test('is a version like a trained one, with the weights that were sent, and is called at once', async () => {
    const files = [...filesOf(sound), ['README.md', '# Mine\n'] as [string, string]];
    const answer = await sendAdapter(bench.acme, files, { note: 'From the lab.' });
    assert.equal(answer.status, 200, answer.text);
    const version = answer.json;
    assert.match(version.model, /^ft:tiny:acme:made-elsewhere:[0-9A-Za-z]{8}$/);
    assert.deepEqual(
      [version.version, version.fine_tuning_job_id, version.note, version.peft.r, version.base_model],
      [1, null, 'From the lab.', 2, 'tiny'],
    );
    assert.match(version.lineage.base_model.digest, /^[0-9a-f]{64}$/);
    // adapter_config.json is checked below.
    const sizeAndDigest = (content: string | Uint8Array) => ({
      bytes: content.length,
      sha256: sha256(content),
    });
    assert.deepEqual(
      version.files.filter(({ path }: { path: string }) => path !== 'adapter_config.json'),
      files
        .slice(1)
        .map(([path, content]) => ({ path, ...sizeAndDigest(content) }))
        .sort((a, b) => (a.path < b.path ? -1 : 1)),
    );
    const read = await bench.acme.send('GET', `/v1/adapters/${version.adapter_id}/versions/1`);
    assert.deepEqual(read.json, version);
    const download = await fetch(bench.url + version.download_path, {
      headers: { authorization: `Bearer ${bench.acme.key}` },
    });
    assert.equal(sha256(Buffer.from(await download.arrayBuffer())), download.headers.get('x-content-sha256'));

    const worker = await startScriptedWorker(bench.services, 'worker-upload', says(token('Hi'), done()));
    try {
      const body = { model: version.model, prompt: 'a' };
      const said = await bench.acme.send('POST', '/v1/completions', body);
      assert.equal(said.json.choices?.[0].text, 'Hi', said.text);
      const [asked] = worker.requests;
      assert.equal(asked.base_model, 'tiny');
      assert.equal(asked.adapter.version_id, version.id);
      assert.equal(asked.adapter.base_digest, version.lineage.base_model.digest);
      assertError(await bench.other.send('POST', '/v1/completions', body), 404, 'model_not_found');
    } finally {
      await worker.close();
    }
    assert.deepEqual(await readdir(join(bench.services.env.dataDir, 'staging')), []);
    const [audit] = await bench.services.db.auditEntry.findMany({ where: { action: 'adapter.upload' } });
    assert.equal(audit!.target, version.id);
  });

  for (const [options, hostile] of [
    [{}, { auto_mapping: { base_model_class: 'Theirs', parent_library: 'transformers.models' } }],
    [{ use_rslora: true, lora_dropout: 0.5, alpha_pattern: { q_proj: 3 } }, { of_a_newer_peft: null }],
    [
      {
        peft_type: 'PROMPT_TUNING',
        r: undefined,
        target_modules: undefined,
        num_virtual_tokens: 3,
        prompt_tuning_init: 'TEXT',
        prompt_tuning_init_text: 'a',
      },
      { tokenizer_name_or_path: '/etc/passwd' },
    ],
  ] as const)
    test(`its download names this server's base model and nothing of the sender's choice: ${JSON.stringify(hostile)}`, async () => {
      const parts = await soundAdapter(bench, options);
      Object.assign(parts.config, hostile, {
        base_model_name_or_path: '/etc/passwd',
        revision: 'refs/pr/666',
        peft_version: '9.9.9@theirs',
      });
      const { json, text } = await sendAdapter(bench.acme, filesOf(parts));
      const { body } = await fetch(bench.url + json.download_path, {
        headers: { authorization: `Bearer ${bench.acme.key}` },
      });
      assert.ok(body, text);
      const tar = Buffer.from(await new Response(body).arrayBuffer());
      const { bytes } = json.files[0];
      const config = JSON.parse(tar.subarray(512, 512 + bytes).toString());
      assert.deepEqual(json.files[0], {
        path: 'adapter_config.json',
        bytes,
        sha256: sha256(tar.subarray(512, 512 + bytes)),
      });
      assert.equal(config.base_model_name_or_path, 'tiny');
      assert.deepEqual([config.revision, config.auto_mapping], [null, null]);
      assert.doesNotMatch(JSON.stringify(config), /passwd|refs|theirs/i);
      // Options that define the adapter are unchanged.
      for (const [field, value] of Object.entries(options)) assert.deepEqual(config[field], value, field);
    });

  test('is the next version of an adapter created by jobs, and may name its parent', async () => {
    const trained = await publishAdapter(bench, bench.acme, 'mixed');
    const fields = { name: 'mixed', parent: trained.version.modelName };
    const { json } = await sendAdapter(bench.acme, filesOf(sound), fields);
    assert.deepEqual(
      [json.adapter_id, json.version, json.parent_id],
      [trained.version.adapterId, 2, trained.version.id],
    );
    const parent = trained.version.modelName;
    const name = 'theirs';
    assertError(await sendAdapter(bench.other, filesOf(sound), { name, parent }), 404, 'model_not_found');
    assert.equal((await sendAdapter(bench.other, filesOf(sound), { name: 'mixed' })).json.version, 1);
  });

  test('parallel uploads of one name are numbered one after another', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => sendAdapter(bench.acme, filesOf(sound), { name: 'crowd' })),
    );
    assert.deepEqual(answers.map(({ json }) => json.version).sort(), [1, 2, 3, 4, 5, 6]);
  });

  for (const options of [
    { bias: 'all', target_modules: 'all-linear', use_dora: true },
    { target_modules: '.*\\.(q|k)_proj', modules_to_save: ['lm_head'], rank_pattern: { k_proj: 3 } },
    { peft_type: 'IA3', r: undefined, target_modules: null },
    { peft_type: 'LN_TUNING', r: undefined, target_modules: null },
    { peft_type: 'PROMPT_TUNING', r: undefined, target_modules: undefined, num_virtual_tokens: 3 },
    { peft_type: 'PREFIX_TUNING', r: undefined, target_modules: undefined, num_virtual_tokens: 3 },
  ]) {
    test(`of ${JSON.stringify(options)}`, async () => {
      const { status, text } = await sendAdapter(bench.acme, filesOf(await soundAdapter(bench, options)));
      assert.equal(status, 200, text);
    });
  }

  test('in half precision', async () => {
    for (const dtype of ['F16', 'BF16']) {
      const tensors = new Map(
        [...sound.tensors].map(([key, tensor]) => [
          key,
          { ...tensor, dtype, data: tensor.data.slice(0, tensor.data.length / 2).fill(0x11) },
        ]),
      );
      const { status, text } = await sendAdapter(bench.acme, filesOf({ ...sound, tensors }));
      assert.equal(status, 200, text);
    }
  });
});

describe('refused', () => {
  test('who may not', async () => {
    const viewer = await bench.caller(bench.acme, 'viewer');
    assertError(await sendAdapter(viewer, filesOf(sound)), 403, 'insufficient_role');
  });

  test('fields', async () => {
    const refused = async (
      fields: Record<string, string | undefined>,
      code: string,
      param: string,
      status = 400,
    ) => assertError(await sendAdapter(bench.acme, filesOf(sound), fields), status, code, param);
    await refused({ base_model: undefined }, 'missing_required_parameter', 'base_model');
    await refused({ name: undefined }, 'missing_required_parameter', 'name');
    await refused({ base_model: 'none' }, 'model_not_found', 'base_model');
    for (const name of ['', '../x', 'a b', 'a:b', 'x'.repeat(65), '-x', 'x\0y'])
      await refused({ name }, 'invalid_value', 'name');
    await refused({ parent: 'tiny' }, 'invalid_value', 'parent');
    await refused({ parent: 'ft:tiny\0' }, 'invalid_value', 'parent');
    await refused({ parent: 'ft:none' }, 'model_not_found', 'model', 404);
    await refused({ note: 'x'.repeat(10_001) }, 'invalid_value', 'note');
    await refused({ note: 'x'.repeat(50_001) }, 'invalid_value', 'note');
    await refused({ else: 'x' }, 'unknown_parameter', 'else');
    const json = await bench.acme.send('POST', '/v1/adapters', { name: 'x' });
    assertError(json, 415, 'unsupported_media_type');
  });

  test('files', async () => {
    const [config, weights] = filesOf(sound) as [[string, string], [string, Uint8Array<ArrayBuffer>]];
    assertError(await sendAdapter(bench.acme, [config]), 400, 'missing_required_parameter', 'file');
    assertError(await sendAdapter(bench.acme, [weights]), 400, 'missing_required_parameter', 'file');
    assertError(await sendAdapter(bench.acme, [config, config, weights]), 400, 'invalid_value', 'file');
    const four = [config, weights, ['README.md', ''], ['README.md', '']] as [string, string][];
    assertError(await sendAdapter(bench.acme, four), 400, 'invalid_value', 'file');
  });

  test('a README that names other weights of the base', async () => {
    const card = `---\nbase_model_sha256: "${'a'.repeat(64)}"\n---\n`;
    const answer = await sendAdapter(bench.acme, [...filesOf(sound), ['README.md', card]]);
    assertError(answer, 400, 'base_model_changed', 'README.md');
  });

  test('a classifier, which answers no completions', async () => {
    const answer = await sendAdapter(
      bench.acme,
      filesOf({ ...sound, config: { ...sound.config, task_type: 'FEATURE_EXTRACTION' } }),
    );
    assert.equal(answer.status, 400);
    assert.match(answer.json.error.param, /peft\.task_type|adapter_model/);
  });

  test('weights over the limit', async () => {
    const small = await openApiBench({}, { GRAFT_MAX_UPLOAD_BYTES: '1000' });
    try {
      const answer = await sendAdapter(small.acme, filesOf(sound));
      assertError(answer, 413, 'file_too_large', 'adapter_model.safetensors');
      assert.deepEqual(await readdir(join(small.services.env.dataDir, 'staging')), []);
    } finally {
      await small.close();
    }
  });

  test('a client that hangs up leaves nothing', async () => {
    const staging = join(bench.services.env.dataDir, 'staging');
    const before = (await readdir(staging)).length;
    const until = async (more: number) => {
      for (const end = performance.now() + 60_000; (await readdir(staging)).length !== before + more; ) {
        assert.ok(performance.now() < end, `waited in vain for ${more} folders`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const socket = connect(Number(new URL(bench.url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      `POST /v1/adapters HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bench.acme.key}\r\n` +
        'Content-Type: multipart/form-data; boundary=bb\r\nContent-Length: 100000\r\n\r\n' +
        '--bb\r\nContent-Disposition: form-data; name="file"; filename="adapter_model.safetensors"\r\n\r\nabc',
    );
    await until(1);
    socket.destroy();
    await until(0);
  });

  test('checks that a busy machine does not finish in time: 503, and no fault of the adapter', async () => {
    const slow = await openApiBench({ adapterCheckTimeoutMs: 1 });
    try {
      const data = new Uint8Array(64 * 2 ** 20);
      const tensors = new Map([...sound.tensors, ['x', { dtype: 'U8', shape: [data.length], data }]]);
      const answer = await sendAdapter(slow.acme, [
        [
          'adapter_config.json',
          JSON.stringify({ ...sound.config, target_modules: Array(1000).fill('q_proj') }),
        ],
        ['adapter_model.safetensors', safetensorsOf(tensors)],
      ]);
      assertError(answer, 503, 'overloaded');
      assert.equal(answer.headers.get('retry-after'), '5');
    } finally {
      await slow.close();
    }
  });
});
