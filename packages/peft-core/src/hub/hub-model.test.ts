import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { openBaseModel } from '../base-model/open-base-model.ts';
import { readSentencePooling } from '../base-model/sentence-pooling.ts';
import { tinyGguf, tinyWeights, writeTinyFolder } from '../base-model/testing/tiny-folder.ts';
import { writeGguf } from '../gguf/testing/write-gguf.ts';
import { writeSafetensors } from '../safetensors/write-safetensors.ts';
import { type BaseModelSpec, resolveBaseModel } from './resolve-base-model.ts';
import { commit, HubServer } from './testing/hub-server.ts';

const root = mkdtempSync(path.join(tmpdir(), 'graft-hub-'));
after(() => rmSync(root, { recursive: true, force: true }));

let server: HubServer;
let cacheDir: string;
let lines: string[];
let count = 0;

beforeEach(async () => {
  server = await HubServer.start();
  cacheDir = path.join(root, `cache-${count++}`);
  lines = [];
  await writeTinyFolder(path.join(root, 'model'));
  await writeSafetensors(path.join(root, 'model', 'model.safetensors'), tinyWeights());
  for (const name of readdirSync(path.join(root, 'model')))
    server.files.set(name, readFileSync(path.join(root, 'model', name)));
  for (const name of ['pytorch_model.bin', 'README.md', 'onnx/config.json', '../evil.json', 'model.onnx']) {
    server.files.set(name, Buffer.from(name));
  }
});

afterEach(() => server.stop());

const resolve = (spec: Partial<Extract<BaseModelSpec, { hub: string }>> = {}, token?: string) =>
  resolveBaseModel(
    { hub: 'org/name', ...spec },
    {
      cacheDir,
      env: { HF_ENDPOINT: `${server.endpoint}/`, HF_TOKEN: token },
      onProgress: (line) => lines.push(line),
      retryDelay: 1,
    },
  );

const repository = () => path.join(cacheDir, 'models', 'hub', 'org--name');
/** All paths in the repository's folder. */
const left = () => readdirSync(repository(), { recursive: true }).map(String);
const fetched = () =>
  server.hub.filter(({ path: at }) => at.includes('/resolve/')).map(({ path: at }) => path.basename(at));

test('only the needed files are fetched, checked, and opened as a model', async () => {
  const folder = await resolve();
  assert.equal(folder, path.join(repository(), commit));
  const names = [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ];
  assert.deepEqual(readdirSync(folder).sort(), names);
  assert.deepEqual(fetched().sort(), names);
  const model = await openBaseModel(folder);
  const weights = createHash('sha256').update(server.files.get('model.safetensors')!).digest('hex');
  assert.equal(await model.digest(), weights);
  await model.close();
  assert.match(lines.at(-1)!, /^fetching org\/name: 100 % of 0\.1 MB \(\d+(\.\d)? MB\/s\)$/);
});

test('of a sentence-transformers model also how its vectors are pooled', async () => {
  const modules = [
    { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Transformer' },
    { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
  ];
  const pooling = {
    word_embedding_dimension: 32,
    pooling_mode_cls_token: false,
    pooling_mode_mean_tokens: true,
  };
  server.files.set('modules.json', Buffer.from(JSON.stringify(modules)));
  server.files.set('1_Pooling/config.json', Buffer.from(JSON.stringify(pooling)));
  server.files.set('9_Pooling/../../config.json', Buffer.from('{}'));
  assert.deepEqual(await readSentencePooling(await resolve()), {
    pooling: 'mean',
    normalise: false,
    includePrompt: true,
  });
});

test('files that other programs need are fetched too, unless they are too large for what they are', async () => {
  server.files.set('processor_config.json', Buffer.from('{}'));
  server.files.set('tokenizer.model', Buffer.alloc((16 << 20) + 1));
  server.files.set('notes.json', Buffer.from('{}'));
  const names = readdirSync(await resolve());
  assert.deepEqual(
    [names.includes('processor_config.json'), names.includes('tokenizer.model')],
    [true, false],
  );
  assert.ok(!names.includes('notes.json'));
});

test('what has been fetched is not fetched again; a commit needs no connection at all', async () => {
  const folder = await resolve({ revision: 'v1' });
  const before = server.hub.length;
  assert.equal(await resolve({ revision: 'v1' }), folder);
  assert.equal(server.hub.length, before + 1, 'only what the revision means is asked again');
  assert.equal(await resolve({ revision: commit }), folder);
  assert.equal(server.hub.length, before + 1);
  server.stop();
  assert.equal(await resolve({ revision: 'v1' }), folder, 'offline');
  await assert.rejects(resolve({ revision: 'main' }), {
    code: 'base_model_unavailable',
    fault: 'system',
    message: /cannot reach/,
  });
});

test('two at once fetch it once', async () => {
  const [a, b] = await Promise.all([resolve(), resolve()]);
  assert.equal(a, b);
  assert.equal(fetched().length, 5);
});

test('a transfer that is cut off resumes where it stopped', async () => {
  server.cuts.push(5000, 100);
  await openBaseModel(await resolve()).then((model) => model.close());
  assert.deepEqual(
    server.cdn.map(({ range }) => range),
    [undefined, 'bytes=5000-', 'bytes=5100-'],
  );
});

test('a failed run is continued by the next one', async () => {
  server.cuts.push(5000, 0, 0, 0, 0, 0);
  await assert.rejects(resolve(), { code: 'base_model_unavailable', fault: 'system', message: /cut off/ });
  assert.ok(!left().includes(commit), 'what is not whole does not have its name');
  const before = fetched().length;
  await openBaseModel(await resolve()).then((model) => model.close());
  assert.equal(server.cdn.at(-1)!.range, 'bytes=5000-');
  assert.deepEqual(fetched().slice(before), ['model.safetensors'], 'small files were there');
  assert.deepEqual(
    left().filter((name) => name.includes('unfinished')),
    [],
  );
});

test('a server without ranges sends the file again', async () => {
  server.ignoreRanges = true;
  server.cuts.push(5000);
  await openBaseModel(await resolve()).then((model) => model.close());
  assert.equal(server.cdn.length, 2);
});

test('damaged content is refused, and nothing of it is left', async () => {
  server.corrupt = true;
  await assert.rejects(resolve(), {
    code: 'base_model_corrupt',
    fault: 'system',
    message: /^config.json arrived damaged/,
  });
  assert.ok(!left().some((name) => name.endsWith('.json') || name.endsWith('.part')), left().join());
  server.corrupt = false;
  await openBaseModel(await resolve()).then((model) => model.close());
});

test('a damaged piece of an earlier run is thrown away', async () => {
  const size = server.files.get('model.safetensors')!.byteLength;
  for (const piece of [Buffer.alloc(5000, 1), Buffer.alloc(size, 1), Buffer.alloc(size + 5, 1)]) {
    rmSync(repository(), { recursive: true, force: true });
    const unfinished = path.join(repository(), `${commit}.unfinished`);
    mkdirSync(unfinished, { recursive: true });
    writeFileSync(path.join(unfinished, 'model.safetensors.part'), piece);
    const folder = await resolve();
    assert.deepEqual(
      readFileSync(path.join(folder, 'model.safetensors')),
      server.files.get('model.safetensors'),
    );
  }
});

test('a file longer than listed is cut off and refused', async () => {
  const listed = server.files.get('model.safetensors')!;
  const real = Buffer.concat([listed, Buffer.alloc(10)]);
  const pending = resolve();
  // After the listing, before the content.
  const swap = setInterval(() => fetched().length > 0 && server.files.set('model.safetensors', real), 1);
  await assert.rejects(pending, { code: 'base_model_corrupt' }).finally(() => clearInterval(swap));
});

test('a private model: refused without the token, fetched with it, and the token stays with the Hub', async () => {
  server.token = 'secret';
  await assert.rejects(resolve(), { code: 'base_model_not_found', fault: 'user', message: /set HF_TOKEN/ });
  await assert.rejects(resolve({}, 'wrong'), {
    code: 'base_model_not_found',
    message: /HF_TOKEN may not read it/,
  });
  await openBaseModel(await resolve({}, 'secret')).then((model) => model.close());
  assert.deepEqual(
    server.cdn.map(({ authorization }) => authorization),
    [undefined],
  );
});

test('refusals have their codes', async () => {
  await assert.rejects(resolve({ hub: 'org/other' }), {
    code: 'base_model_not_found',
    message: /no model org\/other/,
  });
  await assert.rejects(resolve({ revision: 'v2' }), {
    code: 'base_model_not_found',
    message: /no such revision/,
  });
  for (const hub of ['name', 'a/b/c', '../name', 'org/..', 'org/na me', '']) {
    await assert.rejects(resolve({ hub }), { code: 'invalid_model' }, hub);
  }
  server.refusal = { status: 403, code: 'GatedRepo' };
  await assert.rejects(resolve(), {
    code: 'base_model_access_denied',
    message: /accept its terms at http.*org\/name/,
  });
  server.refusal = { status: 403, code: '' };
  await assert.rejects(resolve(), { code: 'base_model_access_denied' });
  server.refusal = { status: 503, code: '' };
  await assert.rejects(resolve(), { code: 'base_model_unavailable', fault: 'system', message: /503/ });
});

test('shards and their index', async () => {
  const whole = server.files.get('model.safetensors')!;
  server.files.delete('model.safetensors');
  server.files.set('model-00001-of-00001.safetensors', whole);
  const map = Object.fromEntries(tinyWeights().map(({ name }) => [name, 'model-00001-of-00001.safetensors']));
  server.files.set('model.safetensors.index.json', Buffer.from(JSON.stringify({ weight_map: map })));
  await openBaseModel(await resolve()).then((model) => model.close());
});

test('GGUF files: a single one is used, of several one must be named', async () => {
  for (const name of ['config.json', 'model.safetensors']) server.files.delete(name);
  await assert.rejects(resolve(), {
    code: 'unsupported_model',
    message: /pickle files only \(pytorch_model.bin\)/,
  });
  await writeGguf(path.join(root, 'tiny.gguf'), tinyGguf());
  server.files.set('tiny.gguf', readFileSync(path.join(root, 'tiny.gguf')));
  const folder = await resolve();
  assert.deepEqual(readdirSync(folder), ['tiny.gguf']);
  const model = await openBaseModel(folder);
  assert.equal(model.format, 'gguf');
  await model.close();
  rmSync(repository(), { recursive: true });
  server.files.set('other.gguf', server.files.get('tiny.gguf')!);
  await assert.rejects(resolve(), {
    code: 'unsupported_model',
    message: /name one of tiny.gguf, other.gguf/,
  });
  const file = await resolve({ file: 'other.gguf' });
  assert.equal(path.basename(file), 'other.gguf');
  await openBaseModel(file).then((each) => each.close());
  await assert.rejects(resolve({ file: 'no.gguf' }), {
    code: 'base_model_not_found',
    message: /no GGUF file no.gguf/,
  });
  server.stop();
  assert.equal(await resolve({ file: 'other.gguf' }), file, 'offline');
});

test('a folder is itself, if it is there', async () => {
  assert.equal(
    await resolveBaseModel({ folder: path.join(root, 'model') }, { cacheDir }),
    path.join(root, 'model'),
  );
  await assert.rejects(resolveBaseModel({ folder: path.join(root, 'no') }, { cacheDir }), {
    code: 'file_not_found',
  });
});
