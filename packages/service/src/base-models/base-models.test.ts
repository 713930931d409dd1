import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { GraftError } from '@graft/peft-core/config';
import { writeTinyModel } from '@graft/peft-core/testing';
import { HubServer } from '@graft/peft-core/testing/hub-server';
import { unpackTokenizer } from '@graft/peft-core/text';
import { loadServiceEnv } from '../environment/env.ts';
import { createBaseModelCatalogue } from './create-base-model-catalogue.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-catalogue-'));
  await writeTinyModel(path.join(folder, 'tiny'));
});
after(async () => await rm(folder, { recursive: true, force: true }));

async function catalogue(env: NodeJS.ProcessEnv, operatorFile?: unknown) {
  const file = path.join(folder, 'models.json');
  if (operatorFile !== undefined) await writeFile(file, JSON.stringify(operatorFile));
  const given = operatorFile === undefined ? {} : { GRAFT_BASE_MODELS: file };
  return await createBaseModelCatalogue(
    loadServiceEnv({ GRAFT_CACHE_DIR: path.join(folder, 'cache'), ...given, ...env }),
  );
}

test('the bundled models are always there, and nothing else by itself', async () => {
  const models = await catalogue({});
  assert.deepEqual(
    (await models.list()).map(({ id, source }) => [id, source]),
    [
      ['smollm2-135m-instruct', 'bundled'],
      ['all-minilm-l6-v2', 'bundled'],
    ],
  );
  assert.ok(await models.has('smollm2-135m-instruct'));
  for (const id of ['org/model', '/etc', '../x', '.', '']) {
    assert.equal(await models.has(id), false);
    assert.equal(await models.get(id), null);
  }
});

test('a bundled model with terms of use is there where they are accepted', async () => {
  const id = 'gemma-3-270m';
  assert.equal(await (await catalogue({})).has(id), false);
  const accepted = await catalogue({ GRAFT_ACCEPTED_TERMS: id });
  assert.ok(await accepted.has(id));
  assert.equal((await accepted.list()).find((model) => model.id === id)?.source, 'bundled');
  const fault =
    /GRAFT_ACCEPTED_TERMS: smollm2-135m-instruct is no bundled model with terms of use; .* gemma-3-270m/;
  await assert.rejects(catalogue({ GRAFT_ACCEPTED_TERMS: 'smollm2-135m-instruct' }), fault);
});

test("an operator's folder, relative to the file that names it, is read once", async () => {
  const models = await catalogue(
    {},
    { tiny: { folder: 'tiny' }, hubbed: { hub: 'org/name', revision: 'v1' } },
  );
  assert.deepEqual(
    (await models.list()).map(({ id, source }) => [id, source]),
    [
      ['smollm2-135m-instruct', 'bundled'],
      ['all-minilm-l6-v2', 'bundled'],
      ['tiny', 'operator'],
      ['hubbed', 'operator'],
    ],
  );
  assert.deepEqual(
    (await models.list()).map(({ hub }) => hub),
    [
      { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', quantization: 'Q4_1' },
      { id: 'sentence-transformers/all-MiniLM-L6-v2', quantization: null },
      null,
      { id: 'org/name', quantization: null },
    ],
  );
  const [tiny, again] = await Promise.all([models.get('tiny'), models.get('tiny')]);
  assert.equal(tiny, again);
  assert.deepEqual([tiny!.id, tiny!.path, tiny!.modelType], ['tiny', path.join(folder, 'tiny'), 'llama']);
  assert.equal(typeof unpackTokenizer(tiny!.tokenizer.json).tokenizerJson, 'object');
  const digest = await tiny!.digest();
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.equal(await tiny!.digest(), digest);
});

test('Hub ids only by the globs that the operator allows, each star within one part', async () => {
  const models = await catalogue({ GRAFT_HUB_ALLOW: 'org/*,HuggingFaceTB/SmolLM2-*,one/model' });
  const expected = {
    'org/anything': true,
    'HuggingFaceTB/SmolLM2-135M': true,
    'one/model': true,
    'HuggingFaceTB/other': false,
    'xorg/anything': false,
    'org/a/b': false,
    'org/..': false,
    'org/': false,
    'one/model2': false,
  };
  for (const [id, allowed] of Object.entries(expected)) assert.equal(await models.has(id), allowed, id);
  assert.ok((await models.list()).some(({ id, source }) => id === 'one/model' && source === 'hub'));
});

test('a model that cannot be had is a fault of the system, and is tried again', async () => {
  const models = await catalogue({}, { gone: { folder: 'gone' } });
  await assert.rejects(models.get('gone'), (error: GraftError) => {
    assert.deepEqual([error.code, error.fault], ['base_model_unavailable', 'system']);
    assert.ok(!error.message.includes(folder), error.message);
    return true;
  });
  await writeTinyModel(path.join(folder, 'gone'));
  assert.equal((await models.get('gone'))!.modelType, 'llama');
});

test('a model whose weights are gone when they are digested is reported as such, without its path', async () => {
  const models = await catalogue({}, { tiny: { folder: 'lost' } });
  await writeTinyModel(path.join(folder, 'lost'));
  const model = (await models.get('tiny'))!;
  await rm(path.join(folder, 'lost', 'model.safetensors'));
  await assert.rejects(model.digest(), (error: GraftError) => {
    assert.deepEqual([error.code, error.fault], ['invalid_model', 'system']);
    assert.match(error.message, /^The base model tiny .*: lost has no model\.safetensors/);
    return true;
  });
  await writeTinyModel(path.join(folder, 'lost'));
  assert.match(await model.digest(), /^[0-9a-f]{64}$/);
});

/** Serves a tiny model as the Hub does, to requests with the token. */
async function startHub(): Promise<HubServer> {
  const hub = await HubServer.start();
  await writeTinyModel(path.join(folder, 'published'));
  for (const name of await readdir(path.join(folder, 'published'))) {
    hub.files.set(name, await readFile(path.join(folder, 'published', name)));
  }
  hub.token = 'secret';
  return hub;
}

test('HF_ENDPOINT and HF_TOKEN fetch a private model of the Hub, and no error contains them', async () => {
  const hub = await startHub();
  try {
    const env = { GRAFT_HUB_ALLOW: 'org/*', HF_ENDPOINT: hub.endpoint };
    const without = await catalogue({ ...env, GRAFT_CACHE_DIR: path.join(folder, 'none') });
    await assert.rejects(without.get('org/name'), (error: GraftError) => {
      assert.deepEqual([error.code, error.fault], ['base_model_not_found', 'system']);
      assert.ok(!error.message.includes(new URL(hub.endpoint).host), error.message);
      return true;
    });
    const models = await catalogue({ ...env, HF_TOKEN: 'secret', GRAFT_CACHE_DIR: path.join(folder, 'hub') });
    const model = (await models.get('org/name'))!;
    assert.deepEqual([model.id, model.modelType], ['org/name', 'llama']);
    assert.ok(model.path.startsWith(path.join(folder, 'hub')), model.path);
    assert.equal(hub.hub.at(-1)!.authorization, 'Bearer secret');
  } finally {
    hub.stop();
  }
});

test('a wait ends with its signal', async () => {
  const models = await catalogue({}, { tiny: { folder: 'tiny' } });
  await assert.rejects(models.get('tiny', { signal: AbortSignal.abort(new Error('stop')) }), /stop/);
});

test('a faulty file of the operator stops the start, with every fault', async () => {
  const fault = /GRAFT_BASE_MODELS, .*models\.json: /;
  await assert.rejects(catalogue({}, { a: { folder: '' }, b: { path: 'x' } }), (error: Error) => {
    assert.match(error.message, fault);
    assert.match(error.message, /\/a/);
    assert.match(error.message, /\/b/);
    return true;
  });
  await assert.rejects(catalogue({ GRAFT_BASE_MODELS: path.join(folder, 'none.json') }), /ENOENT/);
});

test('weights that change under a running process have another digest at once', async () => {
  const models = await catalogue({}, { tiny: { folder: 'changing' } });
  const file = path.join(folder, 'changing', 'model.safetensors');
  await writeTinyModel(path.join(folder, 'changing'));
  const model = (await models.get('tiny'))!;
  const digest = await model.digest();
  const { atime, mtime } = await stat(file);
  const bytes = await readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(file, bytes);
  await utimes(file, atime, mtime);
  assert.notEqual(await model.digest(), digest);
  assert.deepEqual(await models.scrub(), []);
});
