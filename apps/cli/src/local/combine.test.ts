import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileTensorsFor } from '@graft/peft-core/check';
import { parsePeftConfig } from '@graft/peft-core/config';
import { readAdapter, writeAdapter } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { wireServer } from '../testing/wire-server.ts';

let cwd = '';

before(async (t) => {
  cwd = temporaryFolder(t as never);
  await writeTinyModel(join(cwd, 'model'));
  const config = JSON.parse(await readFile(join(cwd, 'model/config.json'), 'utf8'));
  for (const [name, r, value] of [
    ['a', 2, 1],
    ['b', 2, 3],
    ['wide', 4, 1],
  ] as const) {
    const peft = parsePeftConfig({ peft_type: 'LORA', r, lora_alpha: r, target_modules: ['q_proj'] });
    const tensors = fileTensorsFor(peft, config).map(({ key, shape }) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value);
      return [key, { shape, data }] as const;
    });
    await writeAdapter(join(cwd, name), { peft, baseModelNameOrPath: 'model', tensors: new Map(tensors) });
  }
});

const combine = ['combine', '--model', 'model', '--adapter', 'a', '--adapter', 'b', '--output'];

test('combine writes an adapter of weighted folders, without a service', async () => {
  const options = ['--weights', '1,4', '--combination-type', 'linear'];
  const ran = await runGraft([...combine, 'both', ...options], { cwd });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(
    ran.stdout,
    /^Combined 2 adapters in .*, rank 2: both\n\nNext:\n {2}graft generate --model model --adapter both/,
  );
  const { config, tensors } = await readAdapter(join(cwd, 'both'));
  assert.equal(config.peft_type === 'LORA' && config.lora_alpha, 2);
  // √1 · 1 + √4 · 3
  for (const { data } of tensors.values()) assert.deepEqual(new Set(data), new Set([7]));
  const card = await readFile(join(cwd, 'both/README.md'), 'utf8');
  assert.match(card, /combined with Graft\./);
  assert.match(card, /\| combined from \| `b × 4` \|/);
  const inspected = await runGraft(['inspect', 'both', '--model', 'model'], { cwd });
  assert.equal(inspected.code, 0, inspected.stderr);

  const again = await runGraft([...combine, 'both'], { cwd });
  assert.match(again.stderr, /both is not empty/);
});

test('wrong options and adapters are refused in one line', async () => {
  for (const [options, words] of [
    [['--weights', '1'], /--weights has 1 and there are 2 adapters/],
    [['--combination-type', 'ties'], /density: is needed with combination_type ties/],
    [
      ['--combination-type', 'linear', '--adapter', 'wide'],
      /"linear" needs equal ranks, and .* has rank 2 in a and 4 in wide/,
    ],
    [['--combination-type', 'dare_linear_svd'], /Allowed choices are svd, linear/],
  ] as const) {
    const ran = await runGraft([...combine, 'refused', ...options], { cwd });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, words);
  }
});

test('adapters combine sends names, weights and the given options', async (t) => {
  const { env, requests } = await wireServer(t);
  const ran = await runGraft(
    ['adapters', 'combine', 'ft:a', 'ft:b', '--name', 'both', '--weights', '0.5,-1', '--svd-rank', '4'],
    { env },
  );
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^Published ft:base:team:demo:abc \(adapter adpt_1, version 1,/);
  assert.deepEqual(JSON.parse(requests.at(-1)!.body), {
    name: 'both',
    sources: [
      { model: 'ft:a', weight: 0.5 },
      { model: 'ft:b', weight: -1 },
    ],
    combination_type: 'svd',
    svd_rank: 4,
  });
});
