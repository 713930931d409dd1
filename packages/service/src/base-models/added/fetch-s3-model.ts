import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { buildOnce, checkSpace, chooseFiles } from '@graft/peft-core/files';
import { FileDigests } from '../../storage/disk/file-digests.ts';
import { S3Objects, type StoredObject } from '../../storage/s3/s3-objects.ts';
import type { FetchWatch, ModelFile } from './added-model.ts';

/** Maximum number of objects listed under a prefix; a model has some dozens. */
const maxObjects = 5_000;

type Wanted = { path: string; size: number; sha256: string | null; object: StoredObject };

/**
 * Fetches a model whose files are objects under a prefix of a bucket, and returns its local path: `folder`, or the GGUF file in it. Fetches
 * config, tokenizer and safetensors, or a GGUF file, never pickle, and resumes an interrupted fetch. `recorded` holds the files of the
 * first fetch, against which every later fetch is checked; the first fetch can only check the sizes and ETags that the server lists.
 * Throws GraftError `base_model_not_found`, `base_model_access_denied`, `base_model_unavailable` (transient), `base_model_corrupt`,
 * `unsupported_model`, `disk_full`.
 */
export async function fetchS3Model(
  { url, file, endpoint }: { url: string; file: string | null; endpoint: string | undefined },
  folder: string,
  recorded: readonly ModelFile[] | null,
  watch: FetchWatch,
): Promise<string> {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(url) ?? [];
  const place = { bucket, prefix: key === '' ? '' : `${key}/`, endpoint };
  await buildOnce(folder, async (unfinished) => {
    const objects = new S3Objects(place);
    try {
      const wanted = choose(url, await listObjects(objects, url), file, recorded);
      watch.onFiles?.(wanted);
      await checkSpace(unfinished, url, wanted, watch.minFreeBytes);
      for (const each of wanted) await fetchObject(objects, each, unfinished, watch);
      for (const each of wanted) await rm(`${path.join(unfinished, each.path)}.etag`, { force: true });
    } catch (error) {
      watch.signal?.throwIfAborted();
      throw inWords(error, url);
    } finally {
      objects.close();
    }
  });
  return file === null ? folder : path.join(folder, file);
}

async function listObjects(objects: S3Objects, url: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of objects.list('')) {
    found.push(object);
    if (found.length <= maxObjects) continue;
    throw new GraftError(
      'unsupported_model',
      `${url} has more than ${maxObjects} objects: name the model's own prefix`,
      { param: 'model' },
    );
  }
  if (found.length === 0) {
    throw new GraftError('base_model_not_found', `there are no objects under ${url}/`, { param: 'model' });
  }
  return found;
}

function choose(
  url: string,
  listed: StoredObject[],
  file: string | null,
  recorded: readonly ModelFile[] | null,
): Wanted[] {
  const files = listed.map((object) => ({ path: object.key, size: object.bytes, sha256: null, object }));
  if (recorded === null) return chooseFiles(url, files, file);
  return recorded.map(({ path: name, bytes, sha256 }) => {
    const found = files.find((each) => each.path === name);
    if (found?.size !== bytes) throw corrupt(name, 'it is not what it was when the model was added');
    return { ...found, sha256 };
  });
}

async function fetchObject(
  objects: S3Objects,
  { path: name, size, sha256, object }: Wanted,
  folder: string,
  { onBytes, signal }: FetchWatch,
): Promise<void> {
  signal?.throwIfAborted();
  const target = path.join(folder, name);
  const part = `${target}.part`;
  await mkdir(path.dirname(target), { recursive: true });
  // Partial bytes of an object that was replaced since are useless.
  const note = `${target}.etag`;
  if ((await readFile(note, 'utf8').catch(() => null)) !== object.etag) {
    await Promise.all([target, part].map((left) => rm(left, { force: true })));
    await writeFile(note, object.etag);
  }
  if ((await sizeOf(target)) === size) return onBytes?.(size);
  let at = (await sizeOf(part)) ?? 0;
  onBytes?.(at);
  const handle = await open(part, 'a');
  try {
    if (at < size) {
      const stream = await objects.get(name, { from: at, etag: object.etag });
      if (!stream) throw corrupt(name, 'it was removed meanwhile');
      for await (const chunk of stream) {
        signal?.throwIfAborted();
        at += chunk.byteLength;
        if (at > size) break;
        await handle.writeFile(chunk);
        onBytes?.(chunk.byteLength);
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (at < size) throw unavailable(`the transfer of ${name} ended after ${at} of ${size} bytes`);
  const isRight = at === size && (sha256 === null || (await new FileDigests().of(part)).sha256 === sha256);
  if (!isRight) {
    await rm(part, { force: true });
    throw corrupt(
      name,
      at > size ? `it is longer than ${size} bytes` : 'its SHA-256 is not the recorded one',
    );
  }
  await rename(part, target);
}

/** Turns an error of the S3 client into one for the operator: the model's bucket is unavailable, not the installation's own storage. */
function inWords(error: unknown, url: string): unknown {
  if (!(error instanceof GraftError) || error.code !== 'storage_away') return error;
  const { name, message, $metadata } = error.cause as Error & { $metadata?: { httpStatusCode?: number } };
  if (name === 'NoSuchBucket')
    return new GraftError('base_model_not_found', `${url}: there is no such bucket`, { param: 'model' });
  if ($metadata?.httpStatusCode === 403) {
    const hint = 'its server does not let us read it; the credentials are those of the AWS variables';
    return new GraftError('base_model_access_denied', `${url}: ${hint}`, { param: 'model' });
  }
  return unavailable(`${url} cannot be read: ${message || name}`, error.cause);
}

function unavailable(message: string, cause?: unknown): GraftError {
  return new GraftError('base_model_unavailable', message, { fault: 'system', param: 'model', cause });
}

function corrupt(name: string, what: string): GraftError {
  return new GraftError('base_model_corrupt', `${name} arrived damaged: ${what}`, {
    fault: 'system',
    param: 'model',
  });
}

async function sizeOf(file: string): Promise<number | null> {
  return (await stat(file).catch(() => null))?.size ?? null;
}
