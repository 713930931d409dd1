import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readAdapter } from '@graft/peft-core/files';
import { type AdapterParts, filesOf, sendAdapter, soundAdapter } from '../../testing/adapter-parts.ts';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

async function upload(name: string, options: Record<string, unknown> = {}, seed = 1, by = bench.acme) {
  const parts: AdapterParts = await soundAdapter(bench, options, seed);
  const { json, status, text } = await sendAdapter(by, filesOf(parts), { name });
  assert.equal(status, 200, text);
  return json;
}

const combine = async (body: object, by: Caller = bench.acme) =>
  await by.send('POST', '/v1/adapters/combine', body);

/** The files of a version, read by peft-core. */
async function downloaded({ download_path: path }: { download_path: string }) {
  const headers = { authorization: `Bearer ${bench.acme.key}` };
  const tar = Buffer.from(await (await fetch(bench.url + path, { headers })).arrayBuffer());
  const folder = await mkdtemp(join(tmpdir(), 'graft-combined-'));
  try {
    for (let at = 0; at + 512 <= tar.length; ) {
      const name = tar
        .subarray(at, at + 100)
        .toString()
        .replace(/\0.*$/s, '');
      if (name === '') break;
      const size = Number.parseInt(tar.subarray(at + 124, at + 136).toString(), 8);
      await writeFile(join(folder, name), tar.subarray(at + 512, at + 512 + size));
      at += 512 + Math.ceil(size / 512) * 512;
    }
    return await readAdapter(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('a combination of versions', () => {
  test('is the next version of an adapter, with its sources in lineage, audit log and README.md', async () => {
    const [a, b] = [await upload('a'), await upload('b', { lora_alpha: 4 }, 5)];
    const sources = [
      { model: a.model, weight: 0.5 },
      { model: b.model, weight: -2 },
    ];
    const answer = await combine({ name: 'both', combination_type: 'cat', sources, note: 'A try.' });
    assert.equal(answer.status, 200, answer.text);
    const version = answer.json;
    assert.deepEqual(
      [version.version, version.source_ids, version.parent_id, version.fine_tuning_job_id, version.note],
      [1, [a.id, b.id], null, null, 'A try.'],
    );
    assert.deepEqual([version.peft.r, version.peft.lora_alpha], [4, 4]);
    assert.deepEqual(version.lineage.combination, { combination_type: 'cat' });
    assert.deepEqual(
      version.lineage.sources.map(({ id, weight }: { id: string; weight: number }) => [id, weight]),
      [
        [a.id, 0.5],
        [b.id, -2],
      ],
    );

    // A of the first source, times its weight and its scale alpha / r = 8 / 2; then that of the second.
    const [mine, ofA, ofB] = [await downloaded(version), await downloaded(a), await downloaded(b)];
    for (const [key, { data }] of mine.tensors) {
      if (!key.includes('lora_A')) continue;
      const [first, second] = [ofA.tensors.get(key)!.data, ofB.tensors.get(key)!.data];
      const wanted = [...first.map((value) => value * 0.5 * 4), ...second.map((value) => value * -2 * 2)];
      wanted.forEach((value, i) => {
        assert.ok(Math.abs(value - data[i]!) < 1e-6, `${key} ${i}`);
      });
    }
    assert.equal(mine.baseDigest, version.lineage.base_model.digest);

    const lineage = async ({ adapter_id, version: number }: { adapter_id: string; version: number }) =>
      (await bench.acme.send('GET', `/v1/adapters/${adapter_id}/versions/${number}/lineage`)).json;
    const up = await lineage(version);
    assert.deepEqual(
      up.edges,
      [
        { from: a.id, to: version.id, kind: 'makes' },
        { from: b.id, to: version.id, kind: 'makes' },
        { from: 'tiny', to: a.id, kind: 'starts' },
        { from: 'tiny', to: b.id, kind: 'starts' },
      ].sort((x, y) => order(up, x.to) - order(up, y.to)),
    );
    const down = await lineage(a);
    assert.deepEqual(down.edges, [
      { from: 'tiny', to: a.id, kind: 'starts' },
      { from: a.id, to: version.id, kind: 'makes' },
    ]);
    assert.ok(!down.nodes.some(({ id }: { id: string }) => id === b.id), 'the other source is no relative');

    const [audit] = await bench.services.db.auditEntry.findMany({ where: { action: 'adapter.combine' } });
    assert.equal(audit!.target, version.id);
    assert.deepEqual((audit!.detail as { sources: string[] }).sources, [a.id, b.id]);
    assert.deepEqual(await readdir(join(bench.services.env.dataDir, 'staging')), []);

    const again = await combine({ name: 'both', sources: [{ model: a.model }, { model: version.model }] });
    assert.deepEqual([again.json.version, again.json.peft.r], [2, 4], again.text);
    assert.deepEqual(again.json.lineage.combination, { combination_type: 'svd' });
  });

  /** Position of a node in the graph, in which ancestors follow. */
  const order = ({ nodes }: { nodes: { id: string }[] }, id: string) =>
    nodes.findIndex((node) => node.id === id);

  test('what cannot be combined is refused in one sentence that names the field', async () => {
    const [a, b] = [await upload('fits'), await upload('fits-too', {}, 2)];
    const sources = [{ model: a.model }, { model: b.model }];
    const wide = await upload('wide', { r: 3 });
    const narrow = await upload('narrow', { target_modules: ['q_proj'] });
    const dora = await upload('dora', { use_dora: true });
    const ia3 = await upload('ia3', {
      peft_type: 'IA3',
      r: undefined,
      target_modules: ['k_proj'],
      feedforward_modules: [],
    });
    const trained = (await publishAdapter(bench, bench.acme, 'elsewhere')).version;
    for (const [body, code, param, words] of [
      [
        { sources: [sources[0], { model: wide.model }], combination_type: 'linear' },
        'not_combinable',
        'combination_type',
        /has rank 2 in .* and 3 in/,
      ],
      [
        { sources: [sources[0], { model: narrow.model }] },
        'not_combinable',
        'sources',
        /v_proj and .* does not; combine adapters with the same target_modules/,
      ],
      [
        { sources: [sources[0], { model: dora.model }] },
        'not_combinable',
        'sources',
        /trained with use_dora/,
      ],
      [
        { sources: [sources[0], { model: ia3.model }] },
        'not_combinable',
        'sources',
        /is IA3 for CAUSAL_LM and .* is LORA/,
      ],
      [{ sources: [sources[0], sources[0]] }, 'not_combinable', 'sources', /named twice/],
      [
        { sources: [sources[0], { model: trained.modelName }] },
        'base_model_changed',
        'sources',
        /other weights/,
      ],
      [
        { sources: [sources[0], { model: 'ft:tiny:acme:none:abcdefgh' }] },
        'model_not_found',
        'sources',
        /does not exist/,
      ],
      [{ sources, combination_type: 'ties' }, 'invalid_value', 'density', /is needed/],
      [{ sources, density: 0.5 }, 'invalid_value', 'density', /no effect with combination_type svd/],
      [{ sources, svd_rank: 4000 }, 'rank_too_large', 'svd_rank', /more than the ranks/],
      [{ sources, combination_type: 'ties_svd' }, 'invalid_value', 'combination_type', /svd/],
      [{ sources: sources.slice(1) }, 'invalid_value', 'sources', /2/],
      [
        { sources: [sources[0], { model: b.model, weight: 1e9 }] },
        'invalid_value',
        'sources[1].weight',
        /100/,
      ],
      [{ sources, name: '../x' }, 'invalid_value', 'name', /./],
    ] as const) {
      const answer = await combine({ name: 'refused', ...body });
      const message = assertError(answer, code === 'model_not_found' ? 404 : 400, code, param);
      assert.match(message, words);
    }
    assert.equal(await bench.services.db.adapter.count({ where: { name: 'refused' } }), 0);
    const staged = await readdir(join(bench.services.env.dataDir, 'staging'));
    assert.deepEqual(
      staged.filter((name) => !name.startsWith('ftjob-')),
      [],
    );
  });

  test('another team, a limited key and a key without the scope combine nothing', async () => {
    const [a, b] = [await upload('own'), await upload('own-too', {}, 3)];
    const body = { name: 'mix', sources: [{ model: a.model }, { model: b.model }] };
    assertError(await combine(body, bench.other), 404, 'model_not_found');
    const reader = await bench.caller(bench.acme, 'member', { scopes: ['adapters:read'] });
    assertError(await combine(body, reader), 403, 'insufficient_scope');
    const limited = await bench.caller(bench.acme, 'member', {
      models: ['ft:tiny:acme:own:*', 'ft:tiny:acme:mix:*'],
    });
    assertError(await combine(body, limited), 403, 'model_not_allowed');
    const wider = ['ft:tiny:acme:own:*', 'ft:tiny:acme:own-too:*'];
    assertError(
      await combine(body, await bench.caller(bench.acme, 'member', { models: wider })),
      403,
      'model_not_allowed',
    );
    const all = await bench.caller(bench.acme, 'member', { models: [...wider, 'ft:tiny:acme:mix:*'] });
    assert.equal((await combine(body, all)).status, 200);
  });

  test('two at once are two versions, and a damaged source is reported', async () => {
    const [a, b] = [await upload('twice'), await upload('twice-too', {}, 3)];
    const body = { name: 'raced', sources: [{ model: a.model }, { model: b.model }] };
    const [first, second] = await Promise.all([combine(body), combine(body)]);
    assert.deepEqual([first.json.version, second.json.version].sort(), [1, 2], first.text + second.text);
    // The same sources and options are the same bytes.
    assert.equal(first.json.digest, second.json.digest);

    const { artifact } = await bench.services.db.adapterVersion.findUniqueOrThrow({ where: { id: b.id } });
    const folder = await bench.services.artifacts.localFolder(artifact);
    await chmod(folder, 0o755);
    await chmod(join(folder, 'adapter_model.safetensors'), 0o644);
    await writeFile(join(folder, 'adapter_model.safetensors'), 'broken');
    await bench.services.db.adapterVersion.update({ where: { id: b.id }, data: { corruptAt: new Date() } });
    assertError(await combine(body), 410, 'artifact_corrupt');
  });
});

test('a combination that takes too long is refused, and leaves nothing', async () => {
  const slow = await openApiBench({ combinationTimeoutMs: 1 });
  try {
    const wide = { target_modules: 'all-linear', r: 8 };
    const models = [];
    for (const seed of [1, 2]) {
      const parts = await soundAdapter(slow, wide, seed);
      models.push((await sendAdapter(slow.acme, filesOf(parts), { name: `wide-${seed}` })).json.model);
    }
    const sources = models.map((model) => ({ model }));
    const answer = await slow.acme.send('POST', '/v1/adapters/combine', { name: 'late', sources });
    assert.match(assertError(answer, 503, 'overloaded', 'sources'), /longer than 0.001 s twice/);
    assert.equal(answer.headers.get('retry-after'), '60');
    assert.deepEqual(await readdir(join(slow.services.env.dataDir, 'staging')), []);
  } finally {
    await slow.close();
  }
});
