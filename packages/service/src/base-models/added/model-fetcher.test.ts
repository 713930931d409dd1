import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { writeTinyModel } from '@graft/peft-core/testing';
import { commit, HubServer } from '@graft/peft-core/testing/hub-server';
import type { Repeating } from '../../repeat.ts';
import type { Services } from '../../services.ts';
import { openS3Server, type S3Server } from '../../storage/testing/s3-server.ts';
import { createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import type { AddedModel } from './added-model.ts';
import { addedModelsFolder } from './ensure-model.ts';
import { addBaseModel, findAddedModel, removeBaseModel, retryBaseModel } from './manage-added-models.ts';
import {
  claimFetch,
  finishFetch,
  keepFetch,
  removeDeletedModels,
  startModelFetcher,
} from './model-fetcher.ts';
import type { ModelSourceInput } from './model-source.ts';

let folder: string;
let hub: HubServer;
let services: Services;
let team: string;
let fetcher: Repeating | undefined;
/** Contents of the tiny model's files, by name. */
const files = new Map<string, Buffer>();

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-added-'));
  const model = path.join(folder, 'tiny');
  await writeTinyModel(model);
  for (const name of await readdir(model)) files.set(name, await readFile(path.join(model, name)));
  hub = await HubServer.start();
  for (const [name, content] of files) hub.files.set(name, content);
  hub.files.set('pytorch_model.bin', Buffer.from('pickle'));
  services = await openTestServices({
    env: {
      GRAFT_CACHE_DIR: path.join(folder, 'cache'),
      HF_ENDPOINT: hub.endpoint,
      GRAFT_MIN_FREE_BYTES: '0',
    },
  });
  team = (await createTestTeam(services)).id;
});
after(async () => {
  await fetcher?.stop();
  hub?.stop();
  await services?.close();
  await rm(folder, { recursive: true, force: true });
});

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

async function add(id: string, source: ModelSourceInput, of = services): Promise<AddedModel> {
  const added = await addBaseModel(of, { id, ...source }, null, null);
  assert.deepEqual([added.state, added.files, added.digest], ['queued', null, null]);
  return added;
}

/** Runs a fetcher until the model is in a final state. */
async function fetched(id: string, of = services): Promise<AddedModel> {
  fetcher = startModelFetcher(of, { sweepMs: 50 });
  try {
    for (const end = performance.now() + 240_000; ; await sleep(50)) {
      const model = await findAddedModel(of, id);
      if (model?.state === 'ready' || model?.state === 'failed') return model;
      if (performance.now() > end) throw new Error(`waited in vain: ${JSON.stringify(model)}`);
    }
  } finally {
    await fetcher.stop();
  }
}

test('a model of the Hub is pinned, fetched without pickle, verified, and then found', async () => {
  await add('from-hub', { hub: 'org/name', revision: 'v1' });
  assert.equal(await services.baseModels.has('from-hub', team), false);
  assert.equal(await services.baseModels.get('from-hub'), null);
  const model = await fetched('from-hub');
  assert.deepEqual(
    [model.state, model.error, model.commit, model.modelType],
    ['ready', null, commit, 'llama'],
  );
  assert.equal(model.bytesDone, model.bytesTotal);
  assert.ok(!model.files!.some((file) => file.path.endsWith('.bin')));
  for (const file of model.files!) {
    const content = files.get(file.path)!;
    assert.deepEqual([file.bytes, file.sha256], [content.byteLength, sha256(content)], file.path);
  }
  assert.ok(model.files!.some((file) => file.path === 'model.safetensors'));
  assert.equal(await services.baseModels.has('from-hub', team), true);
  const opened = (await services.baseModels.get('from-hub'))!;
  assert.equal(await opened.digest(), model.digest);
  assert.ok(
    (await services.baseModels.list(team)).some(({ id, source }) => id === 'from-hub' && source === 'added'),
  );
});

test('a download of a process that died is resumed at the byte where it stopped', async () => {
  const { id } = await add('cut-off', { hub: 'org/name' });
  const { id: installation } = await services.db.installation.findFirstOrThrow();
  const place = path.join(addedModelsFolder(services.env, installation), id, 'models', 'hub', 'org--name');
  const unfinished = path.join(place, `${commit}.unfinished`);
  await mkdir(unfinished, { recursive: true });
  const left = files.get('model.safetensors')!.subarray(0, 500);
  await writeFile(path.join(unfinished, 'model.safetensors.part'), left);
  const before = hub.cdn.length;
  const model = await fetched('cut-off');
  assert.equal(model.state, 'ready', JSON.stringify(model.error));
  const asked = hub.cdn.slice(before).filter(({ path: name }) => name === 'model.safetensors');
  assert.deepEqual(
    asked.map(({ range }) => range),
    ['bytes=500-'],
  );
});

test('what arrives changed on its way fails the model, in plain words', async () => {
  hub.corrupt = true;
  try {
    await add('damaged', { hub: 'org/name' });
    const { state, error } = await fetched('damaged');
    assert.deepEqual([state, error!.code], ['failed', 'base_model_corrupt']);
    assert.match(error!.message, /arrived damaged: its digest is not the one that the Hub lists/);
    assert.equal(await services.baseModels.has('damaged', team), false);
  } finally {
    hub.corrupt = false;
  }
});

test('a broken model is refused with the words of admission, and an unknown one with the Hub’s', async () => {
  const config = hub.files.get('config.json')!;
  hub.files.set('config.json', Buffer.from('{"model_type": "nonesuch"}'));
  try {
    await add('broken', { hub: 'org/name' });
    const { state, error } = await fetched('broken');
    assert.deepEqual([state, error!.code], ['failed', 'unsupported_model']);
    assert.match(
      error!.message,
      /^The base model broken cannot be used until the operator of this server repairs it: /,
    );
    assert.ok(!error!.message.includes(folder));
  } finally {
    hub.files.set('config.json', config);
  }
  await add('unknown', { hub: 'org/name', revision: 'none' });
  assert.equal((await fetched('unknown')).error!.code, 'base_model_not_found');
  await add('nowhere', { folder: path.join(folder, 'none') });
  const nowhere = await fetched('nowhere');
  assert.deepEqual([nowhere.state, nowhere.error!.code], ['failed', 'base_model_not_found']);
});

test('a disk without the space is reported before a byte is fetched', async () => {
  const greedy = { ...services, env: { ...services.env, minFreeBytes: Number.MAX_SAFE_INTEGER } };
  const before = hub.cdn.length;
  await add('too-large', { hub: 'org/name' });
  const { state, error } = await fetched('too-large', greedy);
  assert.deepEqual([state, error!.code, hub.cdn.length], ['failed', 'disk_full', before]);
});

test('a folder stays where it is, with the digests of what it is read from', async () => {
  const place = path.join(folder, 'tiny');
  await writeFile(path.join(place, 'pytorch_model.bin'), 'pickle');
  await add('in-place', { folder: place });
  const model = await fetched('in-place');
  assert.equal(model.state, 'ready', JSON.stringify(model.error));
  assert.deepEqual(
    model.files!.map((file) => file.path).filter((name) => name.endsWith('.bin')),
    [],
  );
  assert.equal((await services.baseModels.get('in-place'))!.path, place);
});

test('one process fetches a model at a time; another takes over where it is silent, and is the only one to end it', async () => {
  await add('leased', { hub: 'org/name' });
  const first = (await claimFetch(services))!;
  assert.deepEqual([first.model.modelId, await claimFetch(services)], ['leased', null]);
  const at = { bytesDone: 7, bytesTotal: 70, commit };
  assert.equal(await keepFetch(services, first.lease, at), true);
  const seen = (await findAddedModel(services, 'leased'))!;
  assert.deepEqual([seen.state, seen.bytesDone, seen.bytesTotal, seen.commit], ['fetching', 7, 70, commit]);
  await services.sql.query('UPDATE added_base_models SET lease_until = to_timestamp(0) WHERE id = $1', [
    first.lease.id,
  ]);
  const second = (await claimFetch(services))!;
  assert.equal(second.model.attempts, 2);
  assert.equal(await keepFetch(services, first.lease, at), false);
  const found = { files: [], modelType: 'llama', digest: 'a'.repeat(64) };
  assert.equal(await finishFetch(services, first.lease, found), false);
  assert.equal((await findAddedModel(services, 'leased'))!.state, 'fetching');
  await services.sql.query('UPDATE added_base_models SET lease_until = to_timestamp(0) WHERE id = $1', [
    first.lease.id,
  ]);
  assert.equal((await fetched('leased')).state, 'ready');
});

test('an unavailable Hub is tried again later, and a removed model leaves nothing behind', async () => {
  hub.refusal = { status: 503, code: 'Away' };
  const added = await add('later', { hub: 'org/name' });
  fetcher = startModelFetcher(services, { sweepMs: 50 });
  try {
    for (const end = performance.now() + 60_000; ; await sleep(50)) {
      const { state, error, attempts } = (await findAddedModel(services, 'later'))!;
      if (state === 'queued' && error) {
        assert.deepEqual([error.code, attempts], ['base_model_unavailable', 1]);
        break;
      }
      assert.ok(performance.now() < end, `waited in vain: ${state}`);
    }
  } finally {
    await fetcher.stop();
    hub.refusal = null;
  }
  await services.sql.query('UPDATE added_base_models SET not_before = now() WHERE id = $1', [added.id]);
  assert.equal((await fetched('later')).state, 'ready');
  const { id: installation } = await services.db.installation.findFirstOrThrow();
  const root = addedModelsFolder(services.env, installation);
  assert.ok((await readdir(root)).includes(added.id));
  assert.equal(await removeBaseModel(services, 'later', null), true);
  assert.equal(await removeBaseModel(services, 'later', null), false);
  await removeDeletedModels(services);
  assert.ok(!(await readdir(root)).includes(added.id));
  assert.equal(await services.baseModels.get('later'), null);
});

describe('a model that failed', () => {
  /** Adds a model that the Hub refuses, with files that an earlier attempt fetched of a commit. */
  async function refused(id: string, commit: string): Promise<{ unfinished: string }> {
    const added = await add(id, { hub: 'org/name' });
    const { id: installation } = await services.db.installation.findFirstOrThrow();
    const place = path.join(addedModelsFolder(services.env, installation), added.id);
    const unfinished = path.join(place, 'models', 'hub', 'org--name', `${commit}.unfinished`);
    await mkdir(unfinished, { recursive: true });
    const left = files.get('model.safetensors')!.subarray(0, 500);
    await writeFile(path.join(unfinished, 'model.safetensors.part'), left);
    hub.refusal = { status: 403, code: 'GatedRepo' };
    try {
      const { state, error } = await fetched(id);
      assert.deepEqual([state, error!.code], ['failed', 'base_model_access_denied']);
    } finally {
      hub.refusal = null;
    }
    return { unfinished };
  }

  test('is fetched again from the byte where it stopped, with all its attempts', async () => {
    await refused('gated', commit);
    const again = (await retryBaseModel(services, 'gated', null))!;
    assert.deepEqual([again.state, again.attempts, again.finishedAt], ['queued', 0, null]);
    assert.equal(again.error!.code, 'base_model_access_denied');
    const before = hub.cdn.length;
    const model = await fetched('gated');
    assert.deepEqual([model.state, model.error, model.attempts], ['ready', null, 1]);
    const asked = hub.cdn.slice(before).filter(({ path: name }) => name === 'model.safetensors');
    assert.deepEqual(
      asked.map(({ range }) => range),
      ['bytes=500-'],
    );
  });

  test('is fetched at the commit that its revision means by then; of another one nothing is left', async () => {
    const { unfinished } = await refused('moved', 'beef'.repeat(10));
    await services.db.addedBaseModel.updateMany({
      where: { modelId: 'moved' },
      data: { commit: 'beef'.repeat(10) },
    });
    await retryBaseModel(services, 'moved', null);
    const model = await fetched('moved');
    assert.deepEqual([model.state, model.commit], ['ready', commit]);
    assert.deepEqual(
      (await readdir(path.dirname(unfinished))).filter((name) => name.startsWith('beef')),
      [],
    );
  });

  test('is added once by many requests; others are refused, and the audit log has one entry', async () => {
    await refused('wanted', commit);
    const asked = await Promise.allSettled(
      Array.from({ length: 8 }, () => retryBaseModel(services, 'wanted', null)),
    );
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const one of asked)
      if (one.status === 'rejected') assert.equal(one.reason.code, 'base_model_not_failed');
    assert.equal((await fetched('wanted')).state, 'ready');
    await assert.rejects(retryBaseModel(services, 'wanted', null), {
      code: 'base_model_not_failed',
      message: /^wanted is ready: /,
    });
    assert.equal(await retryBaseModel(services, 'never-added', null), null);
    const audit = await services.db.auditEntry.findMany({
      where: { target: 'wanted' },
      orderBy: { id: 'asc' },
    });
    assert.deepEqual(
      audit.map(({ action, teamId }) => [action, teamId]),
      ['add', 'retry'].map((verb) => [`base_model.${verb}`, null]),
    );
  });
});

test('an id of the configuration or of an added model is refused, saying whose it is', async () => {
  const again = addBaseModel(services, { id: 'smollm2-135m-instruct', hub: 'org/name' }, null, null);
  await assert.rejects(again, { code: 'base_model_exists', message: /GRAFT_BASE_MODELS/ });
  const twice = addBaseModel(services, { id: 'from-hub', hub: 'org/name' }, null, null);
  await assert.rejects(twice, { code: 'base_model_exists', message: /added base model from-hub already/ });
  const foreign = addBaseModel(services, { id: 'new', hub: 'org/name' }, ['hub:other/*'], null);
  await assert.rejects(foreign, { code: 'base_model_source_not_allowed', param: 'hub' });
});

describe('a prefix of S3', () => {
  let server: S3Server;
  let ours: Services;
  before(async () => {
    server = await openS3Server();
    ours = { ...services, env: { ...services.env, s3Endpoint: server.endpoint } };
  });
  after(async () => await server?.close());

  async function put(prefix: string, name: string, content: Buffer): Promise<void> {
    const client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true, region: 'us-east-1' });
    await client.send(
      new PutObjectCommand({ Bucket: server.bucket, Key: `${prefix}/${name}`, Body: content }),
    );
    client.destroy();
  }

  test('is fetched, its digests recorded, and compared by every other machine', async () => {
    for (const [name, content] of files) await put('base/tiny', name, content);
    await put('base/tiny', 'pytorch_model.bin', Buffer.from('pickle'));
    await add('from-s3', { s3: `s3://${server.bucket}/base/tiny` }, ours);
    const model = await fetched('from-s3', ours);
    assert.equal(model.state, 'ready', JSON.stringify(model.error));
    for (const file of model.files!) assert.equal(file.sha256, sha256(files.get(file.path)!), file.path);
    assert.ok(!model.files!.some((file) => file.path.endsWith('.bin')));

    const { fetchS3Model } = await import('./fetch-s3-model.ts');
    const from = { url: model.location, file: null, endpoint: server.endpoint };
    const place = await fetchS3Model(from, path.join(folder, 'machine-2'), model.files, {});
    const left = (await readdir(place)).filter((name) => /\.(part|etag|bin)$/.test(name));
    assert.deepEqual(left, []);
    assert.deepEqual(await readFile(path.join(place, 'model.safetensors')), files.get('model.safetensors'));

    const changed = Buffer.from(files.get('model.safetensors')!);
    changed[changed.length - 1]! ^= 1;
    await put('base/tiny', 'model.safetensors', changed);
    await assert.rejects(fetchS3Model(from, path.join(folder, 'machine-3'), model.files, {}), {
      code: 'base_model_corrupt',
      message: /model\.safetensors arrived damaged: its SHA-256/,
    });
  });

  test('that was refused is fetched again once it is fixed in place', async () => {
    for (const [name, content] of files) await put('base/fixed', name, content);
    await put('base/fixed', 'config.json', Buffer.from('{"model_type": "nonesuch"}'));
    await add('fixed', { s3: `s3://${server.bucket}/base/fixed` }, ours);
    assert.equal((await fetched('fixed', ours)).error!.code, 'unsupported_model');
    await put('base/fixed', 'config.json', files.get('config.json')!);
    await retryBaseModel(ours, 'fixed', null);
    const model = await fetched('fixed', ours);
    assert.equal(model.state, 'ready', JSON.stringify(model.error));
    const config = model.files!.find((file) => file.path === 'config.json')!;
    assert.equal(config.sha256, sha256(files.get('config.json')!));
  });

  test('without objects, or without a bucket, fails in plain words', async () => {
    await add('no-objects', { s3: `s3://${server.bucket}/none` }, ours);
    assert.match((await fetched('no-objects', ours)).error!.message, /there are no objects under s3:/);
    await add('no-bucket', { s3: 's3://no-such-bucket-here/none' }, ours);
    assert.match((await fetched('no-bucket', ours)).error!.message, /there is no such bucket/);
  });
});
