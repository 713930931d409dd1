import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { openLocalModel } from './local-model.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-local-model-'));
  await writeTinyModel(join(folder, 'tiny'));
  process.env.GRAFT_CACHE_DIR = join(folder, 'cache');
  process.env.GRAFT_BASE_MODELS = join(folder, 'models.json');
});
after(async () => {
  delete process.env.GRAFT_BASE_MODELS;
  delete process.env.GRAFT_CACHE_DIR;
  await rm(folder, { recursive: true, force: true });
});

const note = () => {};
const list = async (models: unknown) => await writeFile(join(folder, 'models.json'), JSON.stringify(models));

test('a folder, and an id of the operator, whose folder counts from the file that names it', async () => {
  await list({ mine: { folder: 'tiny' } });
  for (const name of [join(folder, 'tiny'), 'mine']) {
    const { base, name: given } = await openLocalModel(name, { note });
    assert.deepEqual([given, base.modelType], [name, 'llama']);
    await base.close();
  }
});

test('an unknown name is answered with the ids there are', async () => {
  await list({ mine: { folder: 'tiny' } });
  await assert.rejects(openLocalModel('yours', { note }), {
    name: 'UsageError',
    message: /^--model must be .* a model id \(smollm2-135m-instruct, .*mine, or org\/name/,
  });
});

test('a faulty list is a fault of usage, in the words of the service', async () => {
  await list({ mine: { path: 'tiny' } });
  await assert.rejects(openLocalModel('mine', { note }), {
    name: 'UsageError',
    message: /^GRAFT_BASE_MODELS, .*models\.json: .*\/mine/,
  });
});
